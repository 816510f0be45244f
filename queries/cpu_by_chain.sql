-- CPU time by chain of ancestors, from CPU samples.
-- param: rows = 30  -- rows of the answer
--   cpu_ms           CPU time that the samples stand for, milliseconds
--   share            part of all CPU time that was sampled outside idle
--   samples          CPU samples
--   processes        how many processes have this chain
--   chain            names from the first process down, separated by ;
--   host, boot_id    where
SELECT
  sum(weight) / 1e6 AS cpu_ms,
  CAST(sum(weight) AS DOUBLE) / sum(sum(weight)) OVER () AS share,
  sum(samples) AS samples,
  count(*) AS processes,
  chain_text(boot_id, upid) AS chain,
  host,
  boot_id
FROM (
  SELECT host, boot_id, upid, sum(weight) AS weight, count(*) AS samples
  FROM sample
  WHERE event = 'cpu-clock' AND context <> 'idle'
  GROUP BY host, boot_id, upid
)
GROUP BY host, boot_id, chain_text(boot_id, upid)
ORDER BY cpu_ms DESC, boot_id, chain
LIMIT $rows
