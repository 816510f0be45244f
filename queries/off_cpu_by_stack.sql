-- Time that threads waited off CPU, by where. Needs --off-cpu.
-- param: rows = 30  -- rows of the answer
--   comm             name of the thread that waited
--   waits            how often
--   waited_ms        time waited in all, milliseconds
--   longest_ms       the longest wait, milliseconds
--   kernel_path      functions of the kernel, root first
--   user_path        functions of the program, root first
--   host, boot_id    where
SELECT
  comm,
  count(*) AS waits,
  sum(coalesce(dur_ns, weight)) / 1e6 AS waited_ms,
  max(coalesce(dur_ns, weight)) / 1e6 AS longest_ms,
  stack_text(kernel_stack_id) AS kernel_path,
  stack_text(user_stack_id) AS user_path,
  host,
  boot_id
FROM sample
WHERE event = 'off-cpu'
GROUP BY host, boot_id, comm, kernel_stack_id, user_stack_id
ORDER BY waited_ms DESC, boot_id, comm, kernel_stack_id, user_stack_id
LIMIT $rows
