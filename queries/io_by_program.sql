-- Programs by what they read from and wrote to storage until they ended.
-- param: rows = 30  -- rows of the answer
--   comm             name of the program
--   processes        how many ended
--   read             bytes read from storage, readable
--   written          bytes written to storage, readable
--   read_bytes       bytes read from storage
--   write_bytes      bytes written to storage
--   major_faults     page faults that needed I/O
--   host, boot_id    where
SELECT
  comm,
  processes,
  format_bytes(read_bytes) AS read,
  format_bytes(write_bytes) AS written,
  read_bytes,
  write_bytes,
  major_faults,
  host,
  boot_id
FROM (
  SELECT
    comm,
    count(*) AS processes,
    sum(read_bytes) AS read_bytes,
    sum(write_bytes) AS write_bytes,
    sum(maj_flt) AS major_faults,
    host,
    boot_id
  FROM exit
  GROUP BY host, boot_id, comm
)
ORDER BY read_bytes + write_bytes DESC, boot_id, comm
LIMIT $rows
