-- Direct callers of a function, by weight of the call paths through them.
-- param: function = 'schedule'  -- a recorded event, or a function in a stack
--   event            the kind of event that the paths are of
--   caller           function that calls it; NULL where the path begins at it
--   paths            distinct call paths
--   samples          events on them
--   weight           sum of their weights
--   share            part of all paths into the function
SELECT
  event,
  path[depth - 1] AS caller,
  count(*) AS paths,
  sum(samples) AS samples,
  sum(weight) AS weight,
  sum(share) AS share
FROM call_paths($function)
GROUP BY event, path[depth - 1]
ORDER BY weight DESC, caller
