-- Processes that a signal ended, one by one.
-- param: rows = 100  -- rows of the answer
--   time             when, UTC
--   signal           the signal
--   pid              the process
--   comm             its name
--   cmdline          its command line
--   lived_ms         its age at the end, milliseconds
--   core_dumped      whether memory was dumped
--   chain            names of its ancestors and its own, root first
--   host, boot_id    where
SELECT
  wall_time(x.boot_id, x.ts_ns) AS time,
  signal_name(x.exit_signal) AS signal,
  x.pid,
  x.comm,
  p.cmdline,
  (x.ts_ns - p.start_ns) / 1e6 AS lived_ms,
  x.core_dumped,
  chain_text(x.boot_id, x.upid) AS chain,
  x.host,
  x.boot_id
FROM exit x
LEFT JOIN process p ON p.boot_id = x.boot_id AND p.upid = x.upid
WHERE x.exit_signal > 0
ORDER BY x.ts_ns DESC, x.boot_id, x.upid
LIMIT $rows
