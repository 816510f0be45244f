-- Programs that could not be executed, by error and by who tried.
--   attempts         how often
--   errno            why, as in errno(3): 2 is no such file, 13 no permission
--   filename         what was to be executed
--   parent_comm      name of the parent of the process that tried
--   comm             name of the process that tried
--   last_time        time of the last attempt, UTC
--   host, boot_id    where
SELECT
  count(*) AS attempts,
  e.errno,
  e.filename,
  e.parent_comm,
  e.comm,
  max(e.time) AS last_time,
  e.host,
  e.boot_id
FROM exec e
LEFT JOIN (
  SELECT boot_id, upid, cmdline, max(ts_ns) AS ts_ns
  FROM exec
  WHERE errno = 0
  GROUP BY boot_id, upid, cmdline
) done
  ON done.boot_id = e.boot_id
  AND done.upid = e.upid
  AND done.cmdline = e.cmdline
WHERE e.errno <> 0
  -- A step of a search along PATH that found the program later is no failure.
  AND NOT (e.errno = 2 AND coalesce(done.ts_ns, e.ts_ns) > e.ts_ns)
GROUP BY e.host, e.boot_id, e.errno, e.filename, e.parent_comm, e.comm
ORDER BY attempts DESC, e.boot_id, e.filename, e.errno, e.parent_comm, e.comm
