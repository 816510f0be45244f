-- Stretches of time in which nothing was recorded, and whether loss explains
-- them. A quiet host has gaps, too.
-- param: at_least_ms = 1000  -- shorter gaps are left out
--   from_time        when the last event before the gap was, UTC
--   gap_ms           how long nothing was recorded, milliseconds
--   lost             events that are known to be lost in it
--   host, recording_id  which recording
WITH moment AS (
  SELECT host, recording_id, boot_id, ts_ns FROM exec
  UNION ALL SELECT host, recording_id, boot_id, ts_ns FROM fork
  UNION ALL SELECT host, recording_id, boot_id, ts_ns FROM exit
  UNION ALL SELECT host, recording_id, boot_id, ts_ns FROM sample
),
gap AS (
  SELECT
    host,
    recording_id,
    boot_id,
    lag(ts_ns) OVER (PARTITION BY recording_id ORDER BY ts_ns) AS from_ns,
    ts_ns AS to_ns
  FROM moment
)
SELECT
  wall_time(g.boot_id, g.from_ns) AS from_time,
  (g.to_ns - g.from_ns) / 1e6 AS gap_ms,
  coalesce(sum(l.count), 0) AS lost,
  g.host,
  g.recording_id
FROM (SELECT * FROM gap WHERE to_ns - from_ns >= $at_least_ms * 1000000) g
LEFT JOIN loss l
  ON l.recording_id = g.recording_id
  AND l.t0_ns < g.to_ns
  AND l.t1_ns > g.from_ns
GROUP BY g.host, g.recording_id, g.boot_id, g.from_ns, g.to_ns
ORDER BY gap_ms DESC, g.recording_id, from_time
