-- What a function calls, by weight; or what begins the paths of an event.
-- param: function = 'schedule'  -- a function in a stack, or a recorded event
-- param: at_most_depth = 1      -- how many calls further down
--   depth            calls below the function; 0 is the function itself
--   callee           function that is called
--   self_weight      weight of the callee alone
--   total_weight     weight of the callee and all that it calls
--   total_share      part of all paths through the function
--   context          task, softirq, hardirq, nmi or idle
--   event            the kind of event that the paths are of
SELECT
  depth,
  function AS callee,
  sum(self_weight) AS self_weight,
  sum(total_weight) AS total_weight,
  sum(total_share) AS total_share,
  context,
  event
FROM call_tree($function)
WHERE depth <= $at_most_depth
GROUP BY event, context, depth, function
ORDER BY depth, total_weight DESC, context, callee
