-- CPU time outside idle in each bucket of time, with who used most of it.
-- param: width = '1s'  -- width of a bucket, as 500ms, 10s or 5m
--   time             begin of the bucket, UTC
--   cpu_ms           CPU time that the samples stand for, milliseconds
--   samples          CPU samples
--   busiest          name of the thread with most of them
--   busiest_ms       CPU time of threads of that name, milliseconds
--   host, boot_id    where
SELECT
  time,
  sum(weight) / 1e6 AS cpu_ms,
  sum(samples) AS samples,
  first_value(comm ORDER BY weight DESC, comm) AS busiest,
  max(weight) / 1e6 AS busiest_ms,
  host,
  boot_id
FROM (
  SELECT
    host,
    boot_id,
    time_bucket($width, wall_time(boot_id, ts_ns)) AS time,
    comm,
    sum(weight) AS weight,
    count(*) AS samples
  FROM sample
  WHERE event = 'cpu-clock' AND context <> 'idle'
  GROUP BY
    host, boot_id, time_bucket($width, wall_time(boot_id, ts_ns)), comm
)
GROUP BY host, boot_id, time
ORDER BY time, host, boot_id
