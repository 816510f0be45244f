-- What recording itself cost.
--   subject          the recorder, or a BPF program
--   cpu_ms           CPU time, milliseconds; NULL if the kernel does not count
--   cpu_percent      the same in percent of one CPU
--   runs             how often the BPF program ran
--   ns_per_run       nanoseconds for each run
--   bytes_written    bytes written to the recording
--   max_rss_bytes    peak of the recorder's resident memory
--   host, recording_id  which recording
SELECT
  subject,
  sum(cpu_ns) / 1e6 AS cpu_ms,
  100.0 * sum(cpu_ns) / nullif(max(t1_ns) - min(t0_ns), 0) AS cpu_percent,
  sum(runs) AS runs,
  CAST(sum(cpu_ns) AS DOUBLE) / nullif(sum(runs), 0) AS ns_per_run,
  sum(bytes_written) AS bytes_written,
  max(rss_bytes) AS max_rss_bytes,
  host,
  recording_id
FROM overhead
GROUP BY host, recording_id, subject
ORDER BY cpu_ms DESC NULLS LAST, host, recording_id, subject
