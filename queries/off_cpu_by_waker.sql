-- Time that threads waited off CPU, by who ended the wait, and by which path of
-- the kernel. Needs --off-cpu.
-- param: rows = 30  -- rows of the answer
--   comm             name of the thread that waited
--   waker_comm       name of the process that ended the wait; NULL if an
--                    interrupt did, or that is not known
--   waker_context    in which context: task, softirq, hardirq; NULL if nobody
--                    did, as for a thread that only waited for a CPU
--   waits            how often
--   waited_ms        time waited in all, milliseconds
--   longest_ms       the longest wait, milliseconds
--   waker_path       functions of the kernel that led to the wake-up, root first
--   host, boot_id    where
SELECT
  s.comm,
  p.comm AS waker_comm,
  s.waker_context,
  count(*) AS waits,
  sum(coalesce(s.dur_ns, s.weight)) / 1e6 AS waited_ms,
  max(coalesce(s.dur_ns, s.weight)) / 1e6 AS longest_ms,
  stack_text(s.waker_stack_id) AS waker_path,
  s.host,
  s.boot_id
FROM sample s
LEFT JOIN process p ON p.boot_id = s.boot_id AND p.upid = s.waker_upid
WHERE s.event = 'off-cpu'
GROUP BY s.host, s.boot_id, s.comm, p.comm, s.waker_context, s.waker_stack_id
ORDER BY waited_ms DESC, s.boot_id, s.comm, waker_comm, s.waker_context,
  s.waker_stack_id
LIMIT $rows
