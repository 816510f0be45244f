-- When events were lost: loss in each bucket of time, by stream and cause.
-- param: width = '1s'  -- width of a bucket, as 500ms, 10s or 5m
--   time             begin of the bucket, UTC
--   stream           kind of event
--   cause            why it was lost
--   events           how many
--   cpus             CPUs where they were lost
--   host, boot_id    where
SELECT
  time_bucket($width, wall_time(boot_id, t0_ns)) AS time,
  stream,
  cause,
  sum(count) AS events,
  count(DISTINCT cpu) AS cpus,
  host,
  boot_id
FROM loss
WHERE count > 0
GROUP BY
  host, boot_id, time_bucket($width, wall_time(boot_id, t0_ns)), stream, cause
ORDER BY time, events DESC, boot_id, stream, cause
