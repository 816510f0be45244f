-- Processes that are furthest from the root of their tree.
-- param: rows = 20  -- rows of the answer
--   depth            distance from the root
--   upid, pid        the process
--   comm             its name
--   cmdline          its command line
--   parent_comm      name of the process that forked it
--   host, boot_id    where
SELECT
  p.depth,
  p.upid,
  p.pid,
  p.comm,
  p.cmdline,
  parent.comm AS parent_comm,
  p.host,
  p.boot_id
FROM process p
LEFT JOIN process parent
  ON parent.boot_id = p.boot_id AND parent.upid = p.parent_upid
ORDER BY p.depth DESC NULLS LAST, p.boot_id, p.upid
LIMIT $rows
