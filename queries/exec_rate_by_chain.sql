-- Programs by how often they start, with their parent and grandparent.
-- param: rows = 50  -- rows of the answer
--   grandparent      name of the parent's parent
--   parent           name of the parent
--   comm             name of the program
--   execs            successful execs
--   per_minute       the same per minute between the first and last of the boot
--   host, boot_id    where
SELECT
  c.grandparent,
  c.parent,
  c.comm,
  c.execs,
  c.execs * 6e10 / nullif(range.ns, 0) AS per_minute,
  c.host,
  c.boot_id
FROM (
  SELECT
    e.host,
    e.boot_id,
    grandparent.comm AS grandparent,
    parent.comm AS parent,
    e.comm,
    count(*) AS execs
  FROM exec e
  LEFT JOIN process p ON p.boot_id = e.boot_id AND p.upid = e.upid
  LEFT JOIN process parent
    ON parent.boot_id = p.boot_id AND parent.upid = p.parent_upid
  LEFT JOIN process grandparent
    ON grandparent.boot_id = parent.boot_id
    AND grandparent.upid = parent.parent_upid
  WHERE e.errno = 0
  GROUP BY e.host, e.boot_id, grandparent.comm, parent.comm, e.comm
) c
JOIN (
  SELECT boot_id, max(ts_ns) - min(ts_ns) AS ns FROM exec GROUP BY boot_id
) range ON range.boot_id = c.boot_id
ORDER BY c.execs DESC, c.boot_id, c.grandparent, c.parent, c.comm
LIMIT $rows
