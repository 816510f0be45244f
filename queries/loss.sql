-- What was lost: events that happened and are not in the recording.
--   stream           kind of event
--   cause            why it was lost
--   cpu              CPU where it was lost; NULL if not known
--   events           how many
--   from_ns          begin of the first interval, nanoseconds of CLOCK_BOOTTIME
--   to_ns            end of the last interval
--   host, boot_id    where
SELECT
  stream,
  cause,
  cpu,
  sum(count) AS events,
  min(t0_ns) AS from_ns,
  max(t1_ns) AS to_ns,
  host,
  boot_id
FROM loss
GROUP BY host, boot_id, stream, cause, cpu
HAVING sum(count) > 0
ORDER BY events DESC, boot_id, stream, cause, cpu
