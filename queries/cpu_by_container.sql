-- CPU time by container, from CPU samples.
--   container_id     the container; NULL outside of containers
--   cpu_ms           CPU time that the samples stand for, milliseconds
--   share            part of all CPU time that was sampled outside idle
--   samples          CPU samples
--   processes        how many processes ran
--   example          name of one of them
--   host, boot_id    where
SELECT
  p.container_id,
  sum(s.weight) / 1e6 AS cpu_ms,
  CAST(sum(s.weight) AS DOUBLE) / sum(sum(s.weight)) OVER () AS share,
  count(*) AS samples,
  count(DISTINCT s.upid) AS processes,
  min(s.comm) AS example,
  s.host,
  s.boot_id
FROM sample s
LEFT JOIN process p ON p.boot_id = s.boot_id AND p.upid = s.upid
WHERE s.event = 'cpu-clock' AND s.context <> 'idle'
GROUP BY s.host, s.boot_id, p.container_id
ORDER BY cpu_ms DESC, s.boot_id, p.container_id
