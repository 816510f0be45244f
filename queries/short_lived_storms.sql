-- Parents that start many processes which end at once.
-- param: at_most_ms = 100   -- a process is short-lived up to this age
-- param: at_least = 10      -- short-lived children that make a storm
--   parent_pid       the parent
--   parent_comm      its name
--   parent_cmdline   its command line
--   children         short-lived children
--   names            how many different names they have
--   mean_ms          their mean age at the end, milliseconds
--   cpu_ms           CPU time of all of them, milliseconds
--   host, boot_id    where
SELECT
  parent.pid AS parent_pid,
  parent.comm AS parent_comm,
  parent.cmdline AS parent_cmdline,
  count(*) AS children,
  count(DISTINCT p.comm) AS names,
  avg(p.end_ns - p.start_ns) / 1e6 AS mean_ms,
  sum(coalesce(p.utime_ns, 0) + coalesce(p.stime_ns, 0)) / 1e6 AS cpu_ms,
  p.host,
  p.boot_id
FROM process p
JOIN process parent
  ON parent.boot_id = p.boot_id AND parent.upid = p.parent_upid
WHERE p.end_ns - p.start_ns <= $at_most_ms * 1000000
GROUP BY
  p.host, p.boot_id, parent.upid, parent.pid, parent.comm, parent.cmdline
HAVING count(*) >= $at_least
ORDER BY children DESC, p.boot_id, parent_pid
