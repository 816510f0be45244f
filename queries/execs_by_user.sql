-- Who runs programs: by user, and by the login that the process stems from.
--   uid              real user id
--   login_uid        user id of the login; NULL for services
--   execs            programs that were executed
--   programs         different names among them
--   processes        processes that executed them
--   most             name of the program that was executed most often
--   host, boot_id    where
SELECT
  uid,
  login_uid,
  sum(execs) AS execs,
  count(*) AS programs,
  sum(processes) AS processes,
  first_value(comm ORDER BY execs DESC, comm) AS most,
  host,
  boot_id
FROM (
  SELECT
    host,
    boot_id,
    uid,
    login_uid,
    comm,
    count(*) AS execs,
    count(DISTINCT upid) AS processes
  FROM exec
  WHERE errno = 0
  GROUP BY host, boot_id, uid, login_uid, comm
)
GROUP BY host, boot_id, uid, login_uid
ORDER BY execs DESC, boot_id, uid, login_uid
