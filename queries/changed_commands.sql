-- What changed between two recordings: programs that are new, gone, or more or
-- less often run. Give both with -i.
-- param: before = ''    -- id of the first; '' is the one that begins first
-- param: after = ''     -- id of the second; '' is the one that begins last
-- param: factor = 2.0   -- change of the rate that counts
--   change           new, gone, more or less
--   comm             name of the program
--   parent_comm      name of the parent at the exec
--   per_minute_before  execs per minute in the first recording
--   per_minute_after   execs per minute in the second
--   execs_before     execs in the first recording
--   execs_after      execs in the second
WITH recording AS (
  SELECT
    recording_id,
    min(time) AS began,
    greatest(max(ts_ns) - min(ts_ns), 1) / 6e10 AS minutes
  FROM clock
  GROUP BY recording_id
),
chosen AS (
  SELECT
    first_value(recording_id ORDER BY began, recording_id) AS first_id,
    last_value(recording_id ORDER BY began, recording_id) AS last_id
  FROM recording
),
named AS (
  SELECT
    CASE WHEN $before = '' THEN first_id ELSE $before END AS before_id,
    CASE WHEN $after = '' THEN last_id ELSE $after END AS after_id
  FROM chosen
),
rate AS (
  SELECT
    e.comm,
    e.parent_comm,
    coalesce(sum(e.execs) FILTER (WHERE e.recording_id = n.before_id), 0)
      AS execs_before,
    coalesce(sum(e.execs) FILTER (WHERE e.recording_id = n.after_id), 0)
      AS execs_after,
    coalesce(
      sum(e.execs / r.minutes) FILTER (WHERE e.recording_id = n.before_id), 0
    ) AS per_minute_before,
    coalesce(
      sum(e.execs / r.minutes) FILTER (WHERE e.recording_id = n.after_id), 0
    ) AS per_minute_after
  FROM (
    SELECT recording_id, comm, parent_comm, count(*) AS execs
    FROM exec
    WHERE errno = 0
    GROUP BY recording_id, comm, parent_comm
  ) e
  JOIN recording r ON r.recording_id = e.recording_id
  CROSS JOIN named n
  WHERE n.before_id <> n.after_id
  GROUP BY e.comm, e.parent_comm
)
SELECT
  CASE
    WHEN execs_before = 0 THEN 'new'
    WHEN execs_after = 0 THEN 'gone'
    WHEN per_minute_after > per_minute_before THEN 'more'
    ELSE 'less'
  END AS change,
  comm,
  parent_comm,
  per_minute_before,
  per_minute_after,
  execs_before,
  execs_after
FROM rate
WHERE execs_before + execs_after > 0
  AND (
    per_minute_after >= per_minute_before * $factor
    OR per_minute_before >= per_minute_after * $factor
  )
ORDER BY
  abs(per_minute_after - per_minute_before) DESC, comm, parent_comm
