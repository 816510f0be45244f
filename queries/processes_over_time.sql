-- How many processes were started, ended and alive in each bucket of time.
-- param: width = '1s'  -- width of a bucket, as 500ms, 10s or 5m
--   time             begin of the bucket, UTC
--   started          processes that were created in it
--   ended            processes that ended in it
--   alive            processes that were alive at its end
--   host, boot_id    where
WITH change AS (
  SELECT host, boot_id, child_upid AS upid, ts_ns, 1 AS started, 0 AS ended
  FROM fork
  UNION ALL
  SELECT host, boot_id, upid, ts_ns, 0, 1 FROM exit
),
bucket AS (
  SELECT
    host,
    boot_id,
    time_bucket($width, wall_time(boot_id, ts_ns)) AS time,
    sum(started) AS started,
    sum(ended) AS ended
  FROM change
  GROUP BY host, boot_id, time_bucket($width, wall_time(boot_id, ts_ns))
),
before AS (
  SELECT boot_id, count(*) AS alive
  FROM process
  WHERE source IN ('snapshot', 'inferred')
  GROUP BY boot_id
)
SELECT
  b.time,
  b.started,
  b.ended,
  coalesce(a.alive, 0) + sum(b.started - b.ended) OVER (
    PARTITION BY b.boot_id ORDER BY b.time
  ) AS alive,
  b.host,
  b.boot_id
FROM bucket b
LEFT JOIN before a ON a.boot_id = b.boot_id
ORDER BY b.time, b.host, b.boot_id
