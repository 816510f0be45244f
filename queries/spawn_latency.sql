-- Time from a fork to the exec that follows it, by who forks.
-- param: at_least = 3  -- spawns that make a row
--   parent_comm      name of the process that forks
--   spawns           forks that an exec followed
--   median_us        median time between both, microseconds
--   worst_us         the longest, microseconds
--   example          a command line that was run
--   host, boot_id    where
SELECT
  parent_comm,
  count(*) AS spawns,
  median(took_ns) / 1e3 AS median_us,
  max(took_ns) / 1e3 AS worst_us,
  min(cmdline) AS example,
  host,
  boot_id
FROM (
  SELECT
    f.comm AS parent_comm,
    CAST(e.ts_ns - f.ts_ns AS DOUBLE) AS took_ns,
    e.cmdline,
    f.host,
    f.boot_id
  FROM fork f
  JOIN exec e ON e.boot_id = f.boot_id AND e.upid = f.child_upid
  WHERE e.errno = 0 AND e.exec_seq = 1
)
GROUP BY host, boot_id, parent_comm
HAVING count(*) >= $at_least
ORDER BY spawns DESC, boot_id, parent_comm
