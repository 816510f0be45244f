-- Processes that ran longest within what was recorded, or still run.
-- param: rows = 30  -- rows of the answer
--   age_s            age at the end, or at the last event, seconds
--   runs_still       whether its end was not seen
--   pid              the process
--   comm             its name
--   cmdline          its command line
--   start_time       when it was started, UTC
--   host, boot_id    where
SELECT
  (coalesce(p.end_ns, last.ts_ns) - p.start_ns) / 1e9 AS age_s,
  p.end_ns IS NULL AS runs_still,
  p.pid,
  p.comm,
  p.cmdline,
  wall_time(p.boot_id, p.start_ns) AS start_time,
  p.host,
  p.boot_id
FROM process p
JOIN (SELECT boot_id, max(ts_ns) AS ts_ns FROM clock GROUP BY boot_id) last
  ON last.boot_id = p.boot_id
WHERE p.source <> 'snapshot'
ORDER BY age_s DESC, p.boot_id, p.upid
LIMIT $rows
