-- Programs that ran with other rights than those of their user: set-user-id
-- programs, sudo, su.
--   execs            how often
--   comm             name of the program
--   exe              path of its file
--   uid              real user id
--   euid             effective user id
--   login_uid        user id of the login that it stems from
--   parent_comm      name of the parent at the exec
--   example          one of the command lines
--   last_time        time of the last, UTC
--   host, boot_id    where
SELECT
  count(*) AS execs,
  comm,
  exe,
  uid,
  euid,
  login_uid,
  parent_comm,
  min(cmdline) AS example,
  max(time) AS last_time,
  host,
  boot_id
FROM exec
WHERE errno = 0 AND (uid <> euid OR (uid = 0 AND login_uid > 0))
GROUP BY host, boot_id, comm, exe, uid, euid, login_uid, parent_comm
ORDER BY execs DESC, boot_id, comm, exe, uid, euid, login_uid, parent_comm
