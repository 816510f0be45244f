-- Programs that were executed from where programs do not belong: temporary
-- folders, memory, files that are deleted.
--   place            why it is odd
--   execs            how often
--   exe              path of the file
--   comm             name of the program
--   parent_comm      name of the parent at the exec
--   uid              real user id
--   example          one of the command lines
--   host, boot_id    where
SELECT
  place,
  count(*) AS execs,
  exe,
  comm,
  parent_comm,
  uid,
  min(cmdline) AS example,
  host,
  boot_id
FROM (
  SELECT
    CASE
      WHEN exe LIKE '%(deleted)' THEN 'deleted file'
      WHEN exe LIKE '/memfd:%' THEN 'memory'
      WHEN regexp_like(exe, '^(/tmp|/var/tmp|/dev/shm|/run/user)/')
        THEN 'temporary folder'
      WHEN regexp_like(exe, '/[.][^/]') THEN 'hidden file or folder'
    END AS place,
    exe,
    comm,
    parent_comm,
    uid,
    cmdline,
    host,
    boot_id
  FROM exec
  WHERE errno = 0
)
WHERE place IS NOT NULL
GROUP BY host, boot_id, place, exe, comm, parent_comm, uid
ORDER BY execs DESC, place, boot_id, exe, comm, parent_comm, uid
