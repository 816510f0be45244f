-- Functions by CPU time, or by any other event: alone, and with all they call.
-- param: event = 'cpu-clock'  -- the event to count
-- param: rows = 30            -- rows of the answer
--   function         the function
--   self_share       part of the weight in the function alone
--   total_share      part of the weight in it and in all that it calls
--   self_weight      weight of the function alone; nanoseconds for cpu-clock
--   total_weight     weight with all that it calls, counted once where it
--                    recurses
--   samples          events in the function alone
SELECT
  function,
  sum(self_share) AS self_share,
  sum(total_share) FILTER (WHERE NOT is_recursive) AS total_share,
  sum(self_weight) AS self_weight,
  sum(total_weight) FILTER (WHERE NOT is_recursive) AS total_weight,
  sum(self_samples) AS samples
FROM call_tree($event)
WHERE context <> 'idle'
GROUP BY function
ORDER BY self_weight DESC, total_weight DESC, function
LIMIT $rows
