-- Command lines that seem to hold secrets: others on the host can read them
-- while the process runs.
--   kind             what it seems to be
--   runs             how often such a command line was run
--   comm             name of the program
--   parent_comm      name of the parent at the exec
--   example          one of the command lines
--   last_time        time of the last run, UTC
--   host, boot_id    where
SELECT
  kind,
  count(*) AS runs,
  comm,
  parent_comm,
  min(cmdline) AS example,
  max(time) AS last_time,
  host,
  boot_id
FROM (
  SELECT
    CASE
      WHEN cmdline LIKE '%-----BEGIN%PRIVATE KEY%' THEN 'private key'
      WHEN regexp_like(cmdline, '(A3T|AKIA|ASIA)[0-9A-Z]{16}')
        THEN 'AWS access key'
      WHEN regexp_like(cmdline, 'gh[pousr]_[0-9A-Za-z]{36}')
        THEN 'GitHub token'
      WHEN regexp_like(cmdline, 'xox[abprs]-[0-9A-Za-z-]{10}')
        THEN 'Slack token'
      WHEN regexp_like(cmdline, 'eyJ[0-9A-Za-z_-]{8,}[.]eyJ[0-9A-Za-z_-]{8,}')
        THEN 'JSON web token'
      WHEN regexp_like(cmdline, '[a-z][a-z0-9+.-]*://[^/@:\s]+:[^/@\s]+@')
        THEN 'password in a URL'
      WHEN regexp_like(
        cmdline, 'authorization:\s*(basic|bearer|token)\s+[^\s\x27]{6}', 'i'
      ) THEN 'authorization header'
      WHEN regexp_like(
        cmdline,
        '(^|[\s_-])(password|passwd|passphrase|secret|token|api[_-]?key|access[_-]?key)(=|\s+)[^\s-][^\s]{3}',
        'i'
      ) THEN 'password or token option'
    END AS kind,
    comm,
    parent_comm,
    cmdline,
    time,
    host,
    boot_id
  FROM exec
)
WHERE kind IS NOT NULL
GROUP BY host, boot_id, kind, comm, parent_comm
ORDER BY runs DESC, kind, boot_id, comm, parent_comm
