-- Steps of the wall clock and sleeps of the host, between readings of the
-- clocks.
-- param: at_least_ms = 1.0  -- a step or sleep that counts, milliseconds
--   time             wall-clock time at the end of the interval, UTC
--   interval_s       length of the interval by CLOCK_BOOTTIME, seconds
--   step_ms          how far the wall clock was set forward in it,
--                    milliseconds; negative if it was set back
--   asleep_ms        how long the host slept in it, milliseconds
--   verdict          steady, stepped, slept, or both
--   host, recording_id  which recording
SELECT
  time,
  boot_ns / 1e9 AS interval_s,
  (real_ns - boot_ns) / 1e6 AS step_ms,
  (boot_ns - mono_ns) / 1e6 AS asleep_ms,
  CASE
    WHEN abs(real_ns - boot_ns) < $at_least_ms * 1e6
      AND boot_ns - mono_ns < $at_least_ms * 1e6 THEN 'steady'
    WHEN boot_ns - mono_ns < $at_least_ms * 1e6 THEN 'stepped'
    WHEN abs(real_ns - boot_ns) < $at_least_ms * 1e6 THEN 'slept'
    ELSE 'both'
  END AS verdict,
  host,
  recording_id
FROM (
  SELECT
    host,
    recording_id,
    ts_ns,
    time,
    ts_ns - lag(ts_ns) OVER w AS boot_ns,
    mono_ns - lag(mono_ns) OVER w AS mono_ns,
    real_ns - lag(real_ns) OVER w AS real_ns
  FROM clock
  WINDOW w AS (PARTITION BY recording_id ORDER BY ts_ns)
)
WHERE boot_ns IS NOT NULL
ORDER BY recording_id, ts_ns
