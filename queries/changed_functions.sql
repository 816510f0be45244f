-- What changed between two recordings: functions by their share of the samples.
-- Give both with -i.
-- param: event = 'cpu-clock'  -- the event to count
-- param: before = ''          -- id of the first; '' is the one that begins first
-- param: after = ''           -- id of the second; '' is the one that begins last
-- param: rows = 30            -- rows of the answer
--   function         function where samples were taken
--   share_before     part of the weight of the first recording, outside idle
--   share_after      the same of the second
--   change           the difference
--   samples_before   samples in the first recording
--   samples_after    samples in the second
WITH recording AS (
  SELECT recording_id, min(time) AS began FROM clock GROUP BY recording_id
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
leaf AS (
  SELECT
    recording_id,
    coalesce(kernel[-1], program[-1]) AS function,
    sum(weight) AS weight,
    sum(samples) AS samples
  FROM (
    SELECT
      recording_id,
      stack_functions(kernel_stack_id) AS kernel,
      stack_functions(user_stack_id) AS program,
      sum(weight) AS weight,
      count(*) AS samples
    FROM sample
    WHERE event = $event AND context <> 'idle'
    GROUP BY recording_id, kernel_stack_id, user_stack_id
  )
  GROUP BY 1, 2
),
share AS (
  SELECT
    recording_id,
    function,
    samples,
    CAST(weight AS DOUBLE)
      / nullif(sum(weight) OVER (PARTITION BY recording_id), 0) AS share
  FROM leaf
),
both AS (
  SELECT
    s.function,
    coalesce(sum(s.share) FILTER (WHERE s.recording_id = n.before_id), 0)
      AS share_before,
    coalesce(sum(s.share) FILTER (WHERE s.recording_id = n.after_id), 0)
      AS share_after,
    coalesce(sum(s.samples) FILTER (WHERE s.recording_id = n.before_id), 0)
      AS samples_before,
    coalesce(sum(s.samples) FILTER (WHERE s.recording_id = n.after_id), 0)
      AS samples_after
  FROM share s
  CROSS JOIN named n
  WHERE n.before_id <> n.after_id AND s.function IS NOT NULL
  GROUP BY s.function
)
SELECT
  function,
  share_before,
  share_after,
  share_after - share_before AS change,
  samples_before,
  samples_after
FROM both
WHERE samples_before + samples_after > 0
ORDER BY abs(share_after - share_before) DESC, function
LIMIT $rows
