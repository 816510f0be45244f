-- Where CPU time goes: programs, the kernel for them, interrupts, idle.
--   context          task, softirq, hardirq, nmi or idle
--   in_kernel        whether the kernel ran
--   samples          CPU samples
--   cpu_ms           CPU time that they stand for, milliseconds
--   share            part of all CPU time, idle included
--   host, boot_id    where
SELECT
  context,
  kernel_stack_id IS NOT NULL AS in_kernel,
  count(*) AS samples,
  sum(weight) / 1e6 AS cpu_ms,
  CAST(sum(weight) AS DOUBLE)
    / sum(sum(weight)) OVER (PARTITION BY boot_id) AS share,
  host,
  boot_id
FROM sample
WHERE event = 'cpu-clock'
GROUP BY host, boot_id, context, kernel_stack_id IS NOT NULL
ORDER BY boot_id, cpu_ms DESC, context, in_kernel
