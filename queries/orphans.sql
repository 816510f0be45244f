-- Processes that outlived the one that forked them, and who adopted them.
--   pid              the process
--   comm             its name
--   cmdline          its command line
--   parent_pid       the process that forked it
--   parent_comm      its name
--   outlived_ms      how long it lived on after its parent, milliseconds;
--                    NULL while it lives
--   reaper_comm      name of the process that was told of its end; NULL
--                    while it lives
--   host, boot_id    where
SELECT
  p.pid,
  p.comm,
  p.cmdline,
  parent.pid AS parent_pid,
  parent.comm AS parent_comm,
  (p.end_ns - parent.end_ns) / 1e6 AS outlived_ms,
  reaper.comm AS reaper_comm,
  p.host,
  p.boot_id
FROM process p
JOIN process parent
  ON parent.boot_id = p.boot_id AND parent.upid = p.parent_upid
LEFT JOIN exit x ON x.boot_id = p.boot_id AND x.upid = p.upid
LEFT JOIN process reaper
  ON reaper.boot_id = x.boot_id AND reaper.upid = x.reaper_upid
WHERE parent.end_ns < p.end_ns OR (parent.end_ns IS NOT NULL AND p.end_ns IS NULL)
ORDER BY outlived_ms DESC NULLS FIRST, p.boot_id, p.upid
