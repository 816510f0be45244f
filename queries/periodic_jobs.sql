-- Command lines that the same parent runs again and again, with their period.
-- param: at_least = 3  -- runs that make a period
--   parent_comm      name of the parent at the exec
--   cmdline          what it runs
--   runs             how often
--   period_s         median of the time between two runs, seconds
--   spread_s         half of the distance between its quartiles, seconds
--   last_time        time of the last run, UTC
--   host, boot_id    where
SELECT
  parent_comm,
  cmdline,
  count(*) + 1 AS runs,
  median(gap_ns) / 1e9 AS period_s,
  (approx_percentile_cont(0.75) WITHIN GROUP (ORDER BY gap_ns)
    - approx_percentile_cont(0.25) WITHIN GROUP (ORDER BY gap_ns))
    / 2e9 AS spread_s,
  max(time) AS last_time,
  host,
  boot_id
FROM (
  SELECT
    host,
    boot_id,
    parent_comm,
    cmdline,
    time,
    CAST(ts_ns - lag(ts_ns) OVER (
      PARTITION BY boot_id, parent_comm, cmdline ORDER BY ts_ns
    ) AS DOUBLE) AS gap_ns
  FROM exec
  WHERE errno = 0
)
WHERE gap_ns IS NOT NULL
GROUP BY host, boot_id, parent_comm, cmdline
HAVING count(*) + 1 >= $at_least
ORDER BY runs DESC, boot_id, parent_comm, cmdline
