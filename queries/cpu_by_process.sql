-- CPU time by process, from CPU samples.
-- param: rows = 30  -- rows of the answer
--   pid              the process; 0 is idle
--   comm             name of the process
--   cmdline          its command line
--   samples          CPU samples in it, interrupts included
--   cpu_ms           CPU time that they stand for, milliseconds
--   share            part of all CPU time that was sampled outside idle
--   host, boot_id    where
SELECT
  s.pid,
  coalesce(p.comm, max(s.comm)) AS comm,
  p.cmdline,
  count(*) AS samples,
  sum(s.weight) / 1e6 AS cpu_ms,
  CAST(sum(s.weight) AS DOUBLE) / sum(sum(s.weight)) OVER () AS share,
  s.host,
  s.boot_id
FROM sample s
LEFT JOIN process p ON p.boot_id = s.boot_id AND p.upid = s.upid
WHERE s.event = 'cpu-clock' AND s.context <> 'idle'
GROUP BY s.host, s.boot_id, s.pid, s.upid, p.comm, p.cmdline
ORDER BY sum(s.weight) DESC, s.boot_id, s.pid
LIMIT $rows
