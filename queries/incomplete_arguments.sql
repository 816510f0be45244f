-- Execs whose arguments could not be recorded as they were.
--   argv_state       truncated or unreadable
--   execs            how often
--   comm             name of the program
--   most_bytes       bytes of the longest arguments
--   example          what was recorded of one
--   host, boot_id    where
SELECT
  argv_state,
  count(*) AS execs,
  comm,
  max(argv_bytes) AS most_bytes,
  min(cmdline) AS example,
  host,
  boot_id
FROM exec
WHERE argv_state <> 'complete'
GROUP BY host, boot_id, argv_state, comm
ORDER BY execs DESC, boot_id, argv_state, comm
