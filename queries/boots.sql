-- The boots and recordings that are asked, with the time that they cover.
--   from_time        first reading of the clocks, UTC
--   to_time          last reading of the clocks, UTC
--   covered_s        seconds between both
--   booted_time      when the host was booted, UTC
--   boot_recordings  recordings of the same boot that are asked together
--   host, boot_id, recording_id  which recording
SELECT
  min(time) AS from_time,
  max(time) AS to_time,
  (max(ts_ns) - min(ts_ns)) / 1e9 AS covered_s,
  min(wall_time(boot_id, 0)) AS booted_time,
  count(*) OVER (PARTITION BY boot_id) AS boot_recordings,
  host,
  boot_id,
  recording_id
FROM clock
GROUP BY host, boot_id, recording_id
ORDER BY from_time, boot_id, recording_id
