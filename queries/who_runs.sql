-- Who runs a program: its parents, how often, and the latest command line.
-- param: program = 'awk'  -- name of the program, as in exec.comm
--   runs             successful execs
--   first_time       time of the first, UTC
--   last_time        time of the last, UTC
--   parent_comm      name of the process that forked it
--   parent_pid       its pid
--   parent_cmdline   its command line
--   cmdline          the greatest of the command lines that were run
--   host, boot_id    where
SELECT
  count(*) AS runs,
  min(e.time) AS first_time,
  max(e.time) AS last_time,
  parent.comm AS parent_comm,
  parent.pid AS parent_pid,
  parent.cmdline AS parent_cmdline,
  max(e.cmdline) AS cmdline,
  e.host,
  e.boot_id
FROM exec e
LEFT JOIN process p ON p.boot_id = e.boot_id AND p.upid = e.upid
LEFT JOIN process parent
  ON parent.boot_id = p.boot_id AND parent.upid = p.parent_upid
WHERE e.errno = 0 AND e.comm = $program
GROUP BY
  e.host, e.boot_id, parent.upid, parent.comm, parent.pid, parent.cmdline
ORDER BY runs DESC, e.boot_id, parent_pid
