-- Modules whose functions have no names, by the samples that pass through them.
--   kind             kernel, user or unknown
--   module           the file; NULL where the address lies in none
--   build_id         its build-id, to find debug files by
--   frames           distinct places in it without a name
--   samples          stack events that pass through one of them
--   share            part of all stack events that have a stack
SELECT
  f.kind,
  f.module,
  f.build_id,
  count(DISTINCT f.frame_id) AS frames,
  sum(f.samples) AS samples,
  CAST(sum(f.samples) AS DOUBLE) / nullif(max(f.all_samples), 0) AS share
FROM (
  SELECT
    frame.kind,
    frame.module,
    frame.build_id,
    frame.frame_id,
    hit.samples,
    hit.all_samples
  FROM (
    SELECT
      placed.frame_id,
      sum(stacked.samples) AS samples,
      max(stacked.all_samples) AS all_samples
    FROM (
      SELECT DISTINCT stack_id, unnest(frame_ids) AS frame_id FROM stack
    ) placed
    JOIN (
      SELECT
        stack_id,
        count(*) AS samples,
        sum(count(*)) OVER () AS all_samples
      FROM (
        SELECT kernel_stack_id AS stack_id FROM sample
        UNION ALL
        SELECT user_stack_id FROM sample
      )
      WHERE stack_id IS NOT NULL
      GROUP BY stack_id
    ) stacked ON stacked.stack_id = placed.stack_id
    GROUP BY placed.frame_id
  ) hit
  JOIN (
    SELECT
      frame_id,
      min(kind) AS kind,
      min(module) AS module,
      min(build_id) AS build_id
    FROM frame
    GROUP BY frame_id
  ) frame ON frame.frame_id = hit.frame_id
  WHERE frame.frame_id NOT IN (SELECT frame_id FROM symbol)
) f
GROUP BY f.kind, f.module, f.build_id
ORDER BY samples DESC, f.kind, f.module, f.build_id
