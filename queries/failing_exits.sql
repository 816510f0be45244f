-- Programs that ended with an error or by a signal, and who started them.
--   ends             how often
--   comm             name of the program at its end
--   exit_code        exit status; NULL if a signal ended it
--   signal           the signal that ended it; NULL if none did
--   core_dumps       how often memory was dumped
--   parent_comm      name of the process that forked it
--   example          a command line of it
--   last_time        time of the last end, UTC
--   host, boot_id    where
SELECT
  count(*) AS ends,
  x.comm,
  x.exit_code,
  signal_name(x.exit_signal) AS signal,
  count(*) FILTER (WHERE x.core_dumped) AS core_dumps,
  parent.comm AS parent_comm,
  min(p.cmdline) AS example,
  wall_time(x.boot_id, max(x.ts_ns)) AS last_time,
  x.host,
  x.boot_id
FROM exit x
LEFT JOIN process p ON p.boot_id = x.boot_id AND p.upid = x.upid
LEFT JOIN process parent
  ON parent.boot_id = p.boot_id AND parent.upid = p.parent_upid
WHERE coalesce(x.exit_code, 0) <> 0 OR coalesce(x.exit_signal, 0) <> 0
GROUP BY
  x.host, x.boot_id, x.comm, x.exit_code, x.exit_signal, parent.comm
ORDER BY ends DESC, x.boot_id, x.comm, x.exit_code, x.exit_signal, parent_comm
