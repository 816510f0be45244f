-- Processes by their peak of resident memory, as they ended.
-- param: rows = 30  -- rows of the answer
--   memory           peak of resident memory, readable
--   max_rss_bytes    the same in bytes
--   pid              the process
--   comm             its name
--   cmdline          its command line
--   lived_ms         its age at the end, milliseconds
--   host, boot_id    where
SELECT
  format_bytes(max_rss_bytes) AS memory,
  max_rss_bytes,
  pid,
  comm,
  cmdline,
  (end_ns - start_ns) / 1e6 AS lived_ms,
  host,
  boot_id
FROM process
WHERE max_rss_bytes IS NOT NULL
ORDER BY max_rss_bytes DESC, boot_id, upid
LIMIT $rows
