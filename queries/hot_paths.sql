-- The heaviest call paths of each context.
-- param: event = 'cpu-clock'  -- the event to count
-- param: rows = 5             -- paths of each context
--   context          task, softirq, hardirq, nmi or idle
--   rank             1 for the heaviest path of the context
--   share            part of the weight of the context
--   samples          events with this path
--   weight           sum of their weights; nanoseconds for cpu-clock
--   leaf             function where the path ends
--   path             all its functions, root first
SELECT context, rank, share, samples, weight, leaf, path
FROM (
  SELECT
    context,
    row_number() OVER (
      PARTITION BY context ORDER BY sum(weight) DESC, path
    ) AS rank,
    CAST(sum(weight) AS DOUBLE)
      / sum(sum(weight)) OVER (PARTITION BY context) AS share,
    sum(samples) AS samples,
    sum(weight) AS weight,
    leaf,
    path
  FROM (
    SELECT
      context,
      weight,
      samples,
      coalesce(kernel_functions[-1], user_functions[-1]) AS leaf,
      concat_ws(';', user_text, kernel_text) AS path
    FROM (
      SELECT
        context,
        sum(weight) AS weight,
        count(*) AS samples,
        stack_functions(kernel_stack_id) AS kernel_functions,
        stack_functions(user_stack_id) AS user_functions,
        stack_text(kernel_stack_id) AS kernel_text,
        CASE WHEN context = 'task' THEN stack_text(user_stack_id) END
          AS user_text
      FROM sample
      WHERE event = $event
      GROUP BY context, kernel_stack_id, user_stack_id
    )
  )
  GROUP BY context, leaf, path
)
WHERE rank <= $rows
ORDER BY context, rank
