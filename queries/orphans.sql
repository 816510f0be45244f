-- Processes that outlived the one that forked them, and who adopted them.
--   host, boot_id    where
--   pid              the process
--   comm             its name
--   cmdline          its command line
--   parent_pid       the process that forked it
--   parent_comm      its name
--   outlived_ms      how long it lived on after its parent, milliseconds
--   reaper_comm      name of the process that was told of its end
SELECT
  p.host,
  p.boot_id,
  p.pid,
  p.comm,
  p.cmdline,
  parent.pid AS parent_pid,
  parent.comm AS parent_comm,
  (p.end_ns - parent.end_ns) / 1e6 AS outlived_ms,
  reaper.comm AS reaper_comm
FROM process p
JOIN process parent
  ON parent.boot_id = p.boot_id AND parent.upid = p.parent_upid
JOIN exit x ON x.boot_id = p.boot_id AND x.upid = p.upid
LEFT JOIN process reaper
  ON reaper.boot_id = x.boot_id AND reaper.upid = x.reaper_upid
WHERE parent.end_ns < p.end_ns
ORDER BY outlived_ms DESC, p.boot_id, p.upid
