-- CPU time by systemd unit, from CPU samples.
-- param: rows = 30  -- rows of the answer
--   unit             service, scope or slice of the process; NULL where its
--                    cgroup belongs to none
--   cpu_ms           CPU time that the samples stand for, milliseconds
--   share            part of all CPU time that was sampled outside idle
--   samples          CPU samples
--   processes        how many processes ran
--   host, boot_id    where
SELECT
  systemd_unit(p.cgroup_path) AS unit,
  sum(s.weight) / 1e6 AS cpu_ms,
  CAST(sum(s.weight) AS DOUBLE) / sum(sum(s.weight)) OVER () AS share,
  count(*) AS samples,
  count(DISTINCT s.upid) AS processes,
  s.host,
  s.boot_id
FROM sample s
LEFT JOIN process p ON p.boot_id = s.boot_id AND p.upid = s.upid
WHERE s.event = 'cpu-clock' AND s.context <> 'idle'
GROUP BY s.host, s.boot_id, systemd_unit(p.cgroup_path)
ORDER BY cpu_ms DESC, s.boot_id, unit
LIMIT $rows
