-- Execs in each bucket of time, with the program that was run most.
-- param: width = '1s'  -- width of a bucket, as 500ms, 10s or 5m
--   time             begin of the bucket, UTC
--   execs            programs that were executed
--   failed           attempts that failed
--   most             name of the program that was executed most often
--   most_execs       how often
--   host, boot_id    where
SELECT
  time,
  sum(execs) AS execs,
  sum(failed) AS failed,
  first_value(comm ORDER BY execs DESC, comm) AS most,
  max(execs) AS most_execs,
  host,
  boot_id
FROM (
  SELECT
    host,
    boot_id,
    time_bucket($width, time) AS time,
    comm,
    count(*) FILTER (WHERE errno = 0) AS execs,
    count(*) FILTER (WHERE errno <> 0) AS failed
  FROM exec
  GROUP BY host, boot_id, time_bucket($width, time), comm
)
GROUP BY host, boot_id, time
ORDER BY time, host, boot_id
