-- The code that starts programs: call paths of those who fork, then exec.
-- param: rows = 30  -- rows of the answer
--   execs            programs started from here
--   parent_comm      name of the process that forks
--   programs         different names among what it starts
--   example          one of the command lines
--   path             functions of the caller of fork, root first
--   host, boot_id    where
SELECT
  count(*) AS execs,
  f.comm AS parent_comm,
  count(DISTINCT e.comm) AS programs,
  min(e.cmdline) AS example,
  stack_text(f.user_stack_id) AS path,
  f.host,
  f.boot_id
FROM fork f
JOIN exec e ON e.boot_id = f.boot_id AND e.upid = f.child_upid
WHERE e.errno = 0 AND e.exec_seq = 1
GROUP BY f.host, f.boot_id, f.comm, f.user_stack_id
ORDER BY execs DESC, f.boot_id, parent_comm, f.user_stack_id
LIMIT $rows
