-- Programs that could not be executed, by error and by who tried.
--   host, boot_id    where
--   attempts         how often
--   errno            why, as in errno(3): 2 is no such file, 13 no permission
--   filename         what was to be executed
--   parent_comm      name of the parent of the process that tried
--   comm             name of the process that tried
--   last_time        time of the last attempt, UTC
SELECT
  host,
  boot_id,
  count(*) AS attempts,
  errno,
  filename,
  parent_comm,
  comm,
  max(time) AS last_time
FROM exec
WHERE errno <> 0
GROUP BY host, boot_id, errno, filename, parent_comm, comm
ORDER BY attempts DESC, boot_id, filename, errno, parent_comm, comm
