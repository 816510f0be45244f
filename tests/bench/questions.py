"""What `sql.py` asks: aggregates in SQL that two engines understand alike, and
questions of trees and paths with the SQL that an engine without whence's
functions needs for them."""

MINUTE_NS = 60_000_000_000
# Rows of an answer, each a list; ids and sums are integers, so that answers of two
# engines can be equal.
AGGREGATES = {
    "execs by program": """
        SELECT comm, count(*) AS n FROM exec GROUP BY comm ORDER BY n DESC, comm""",
    "execs by parent and program": """
        SELECT parent_comm, comm, count(*) AS n FROM exec
        GROUP BY parent_comm, comm ORDER BY n DESC, parent_comm, comm LIMIT 50""",
    "failed execs by file": """
        SELECT filename, errno, count(*) AS n FROM exec WHERE errno <> 0
        GROUP BY filename, errno ORDER BY n DESC, filename, errno LIMIT 50""",
    "execs by minute": f"""
        SELECT ts_ns - ts_ns % {MINUTE_NS} AS minute, count(*) AS n FROM exec
        GROUP BY minute ORDER BY minute""",
    "execs by unit": """
        SELECT cgroup_path, count(*) AS n, count(DISTINCT uid) AS users FROM exec
        GROUP BY cgroup_path ORDER BY n DESC, cgroup_path""",
    "distinct command lines": """
        SELECT count(DISTINCT cmdline) AS n FROM exec""",
    "a word in command lines": """
        SELECT comm, count(*) AS n FROM exec WHERE cmdline LIKE '%unit1234%'
        GROUP BY comm ORDER BY n DESC, comm""",
    "life by program": """
        SELECT comm, count(*) AS n, sum(end_ns - start_ns) AS ns, max(end_ns - start_ns) AS longest
        FROM process WHERE end_ns IS NOT NULL GROUP BY comm ORDER BY n DESC, comm""",
    "processes by depth": """
        SELECT depth, count(*) AS n FROM process GROUP BY depth ORDER BY depth""",
    "ends by status": """
        SELECT exit_code, exit_signal, count(*) AS n, sum(utime_ns) AS ns, max(max_rss_bytes) AS rss
        FROM exit GROUP BY exit_code, exit_signal ORDER BY n DESC, exit_code, exit_signal""",
    "fork to exec": """
        SELECT f.comm, count(*) AS n, max(e.ts_ns - f.ts_ns) AS longest
        FROM fork f JOIN exec e ON e.upid = f.child_upid WHERE e.errno = 0
        GROUP BY f.comm ORDER BY n DESC, f.comm""",
}
SAMPLE_AGGREGATES = {
    "CPU time by thread": """
        SELECT comm, sum(weight) AS ns FROM sample WHERE event = 'cpu-clock'
        GROUP BY comm ORDER BY ns DESC, comm""",
    "samples by event and context": """
        SELECT event, context, count(*) AS n FROM sample
        GROUP BY event, context ORDER BY n DESC, event, context""",
    "samples by CPU": """
        SELECT cpu, count(*) AS n FROM sample GROUP BY cpu ORDER BY cpu""",
    "samples by minute": f"""
        SELECT ts_ns - ts_ns % {MINUTE_NS} AS minute, count(*) AS n, sum(weight) AS ns FROM sample
        GROUP BY minute ORDER BY minute""",
    "heaviest stacks": """
        SELECT user_stack_id, sum(weight) AS ns FROM sample WHERE user_stack_id IS NOT NULL
        GROUP BY user_stack_id ORDER BY ns DESC, user_stack_id LIMIT 20""",
    "distinct stacks and processes": """
        SELECT count(DISTINCT user_stack_id) AS stacks, count(DISTINCT upid) AS processes FROM sample""",
    "CPU time of one process": """
        SELECT context, count(*) AS n, sum(weight) AS ns FROM sample
        WHERE pid = 12 GROUP BY context ORDER BY context""",
}

# Names of frames as whence gives them: of the function, or the place in a module.
NAMES = """
    SELECT frame_id, coalesce(max(function),
      max(regexp_extract(module, '[^/]*$')) || '+0x' || lower(hex(max("offset")))) AS name
    FROM frame LEFT JOIN symbol USING (frame_id) GROUP BY frame_id"""


BELOW = """
    SELECT p.comm, count(*) AS n FROM process p JOIN process r
    ON p.tree_first BETWEEN r.tree_first AND r.tree_last
    WHERE r.comm = 'ci-runner' GROUP BY p.comm ORDER BY n DESC, p.comm"""


def trees(program, root):
    """Questions of trees, by name: what whence is asked, how its rows come to an
    answer, and the SQL for it."""
    below = f"""
        WITH RECURSIVE below(upid, comm) AS (
          SELECT upid, comm FROM process WHERE comm = '{root}'
          UNION ALL
          SELECT p.upid, p.comm FROM process p JOIN below b ON p.parent_upid = b.upid)"""
    above = """
        UNION ALL
        SELECT a.run, p.parent_upid, p.comm || ' > ' || a.chain FROM process p JOIN above a ON p.upid = a.next)"""
    values = lambda rows: [list(r.values()) for r in rows]
    return {
        f"who {program}": (
            ["who", f"^{program}$"],
            lambda rows: [[len({r["ancestors"] for r in rows}), sum(r["runs"] for r in rows)]],
            f"""WITH RECURSIVE above(run, next, chain) AS (
                  SELECT e.ts_ns, p.parent_upid, '' FROM exec e JOIN process p USING (upid)
                  WHERE e.comm = '{program}' AND e.errno = 0 {above}
                SELECT count(DISTINCT chain), count(*) FROM above WHERE next IS NULL"""),
        f"tree --match {program}": (
            ["tree", "--match", f"^{program}"],
            lambda rows: [[len(rows)]],
            f"""WITH RECURSIVE matching AS (
                  SELECT upid, parent_upid FROM process
                  WHERE starts_with(comm, '{program}') OR starts_with(cmdline, '{program}')),
                up(upid, next) AS (
                  SELECT upid, parent_upid FROM matching
                  UNION
                  SELECT p.upid, p.parent_upid FROM process p JOIN up ON p.upid = up.next),
                down(upid) AS (
                  SELECT upid FROM matching
                  UNION
                  SELECT p.upid FROM process p JOIN down d ON p.parent_upid = d.upid)
                SELECT count(*) FROM (SELECT upid FROM up UNION SELECT upid FROM down)"""),
        f"descendants of {root}": (
            ["query", f"SELECT count(*) AS n FROM descendants((SELECT upid FROM process WHERE comm = '{root}'))"],
            values,
            below + " SELECT count(*) - 1 FROM below"),
        f"process_tree of {root}, by program": (
            ["query", "SELECT comm, count(*) AS n FROM process_tree("
                      f"(SELECT upid FROM process WHERE comm = '{root}')) GROUP BY comm ORDER BY n DESC, comm"],
            values,
            below + " SELECT comm, count(*) AS n FROM below GROUP BY comm ORDER BY n DESC, comm"),
        f"below {root} by numbers, the same SQL": (["query", BELOW], values, BELOW),
    }


def paths(function):
    """Questions of call paths, likewise. The SQL sums samples by stack before it
    looks at stacks, as whence does."""
    weights = f"""
        WITH names AS MATERIALIZED ({NAMES}),
        weights AS MATERIALIZED (
          SELECT row_number() OVER () AS number, * FROM (
            SELECT kernel_stack_id, user_stack_id, sum(weight) AS ns, count(*) AS n FROM sample
            WHERE event = 'cpu-clock' AND context <> 'idle' GROUP BY kernel_stack_id, user_stack_id)),
        frames AS (SELECT stack_id, unnest(frame_ids) AS frame_id FROM stack)"""
    return {
        "top": (
            ["top", "--rows", "10"],
            lambda rows: [[r["name"], r["self_weight"], r["total_weight"]] for r in rows if r["kind"] == "function"],
            f"""{weights},
            leaves AS (SELECT DISTINCT stack_id, name FROM stack JOIN names ON frame_id = frame_ids[1]),
            own AS (
              SELECT name, sum(ns) AS ns FROM weights
              JOIN leaves ON stack_id = coalesce(kernel_stack_id, user_stack_id) GROUP BY name),
            met AS (
              SELECT DISTINCT stack_id, name FROM frames JOIN names USING (frame_id)),
            total AS (
              SELECT name, sum(ns) AS ns FROM (
                SELECT DISTINCT number, ns, name FROM (
                  SELECT number, ns, name FROM weights JOIN met ON stack_id = kernel_stack_id
                  UNION ALL
                  SELECT number, ns, name FROM weights JOIN met ON stack_id = user_stack_id))
              GROUP BY name)
            SELECT total.name, coalesce(own.ns, 0) AS own, total.ns FROM total
            LEFT JOIN own ON own.name = total.name ORDER BY own DESC, total.ns DESC, total.name LIMIT 10"""),
        f"why {function}": (
            ["why", function],
            lambda rows: [[sum(r["samples"] for r in rows), sum(r["weight"] for r in rows)]],
            f"""{weights},
            hit AS MATERIALIZED (
              SELECT DISTINCT stack_id FROM frames JOIN names USING (frame_id) WHERE name = '{function}')
            SELECT sum(n), sum(ns) FROM weights
            WHERE kernel_stack_id IN (SELECT stack_id FROM hit) OR user_stack_id IN (SELECT stack_id FROM hit)"""),
    }
