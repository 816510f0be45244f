-- Programs whose children end without executing anything: subshells, workers.
--   comm             name of the parent and its children
--   children         children that ended without an exec
--   mean_ms          their mean age at the end, milliseconds
--   cpu_ms           CPU time of all of them, milliseconds
--   parent_cmdline   command line of one of the parents
--   host, boot_id    where
SELECT
  f.comm,
  count(*) AS children,
  avg(p.end_ns - p.start_ns) / 1e6 AS mean_ms,
  sum(coalesce(p.utime_ns, 0) + coalesce(p.stime_ns, 0)) / 1e6 AS cpu_ms,
  min(parent.cmdline) AS parent_cmdline,
  f.host,
  f.boot_id
FROM fork f
JOIN process p ON p.boot_id = f.boot_id AND p.upid = f.child_upid
LEFT JOIN process parent
  ON parent.boot_id = f.boot_id AND parent.upid = f.parent_upid
LEFT JOIN (SELECT DISTINCT boot_id, upid FROM exec WHERE errno = 0) e
  ON e.boot_id = f.boot_id AND e.upid = f.child_upid
WHERE e.upid IS NULL AND p.end_ns IS NOT NULL
GROUP BY f.host, f.boot_id, f.comm
ORDER BY children DESC, f.boot_id, f.comm
