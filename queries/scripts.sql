-- Scripts that were run, by their interpreter.
--   runs             how often
--   script           path of the script, as it was given to exec
--   interpreter      what runs it
--   parent_comm      name of the parent at the exec
--   last_time        time of the last run, UTC
--   host, boot_id    where
SELECT
  count(*) AS runs,
  filename AS script,
  interpreter,
  parent_comm,
  max(time) AS last_time,
  host,
  boot_id
FROM exec
WHERE errno = 0 AND interpreter IS NOT NULL
GROUP BY host, boot_id, filename, interpreter, parent_comm
ORDER BY runs DESC, boot_id, script, interpreter, parent_comm
