// Reads what analyzer/src/report/document.rs writes: columns of numbers, and
// strings by number. Parents come before their children everywhere.

async function inflated(base64) {
  const text = atob(base64);
  const packed = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) packed[i] = text.charCodeAt(i);
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).json();
}

/** The recording, as the other files use it. */
async function decode(element) {
  const data = await inflated(JSON.parse(element.textContent).zlib);
  const text = (number) => (number === null || number === undefined ? null : data.strings[number]);
  const R = {
    ...data,
    text,
    begin_us: data.range_us[0],
    length_us: data.range_us[1] - data.range_us[0],
    process: decodeProcesses(data.process),
    path: decodePaths(data.path),
    // The heavy columns are held once.
    boots: data.boots.map((boot) => ({ ...boot, host: text(boot.host), boot_id: text(boot.boot_id) })),
    events: data.events.map((event) => ({ ...event, name: text(event.name) })),
    losses: data.losses.map((l) => ({ ...l, stream: text(l.stream), cause: text(l.cause) })),
    completeness: data.completeness.map(text),
    left_out: data.left_out.map(text),
    against: data.against && decodeAgainst(data.against, text),
  };
  R.lost = { life: joined(R.losses.filter(isOfLife)), stacks: joined(R.losses.filter((l) => !isOfLife(l))) };
  decodeExecs(R);
  decodeCpu(R);
  return R;
}

function decodeAgainst(against, text) {
  const row = (list, i) => ({
    change: list.change[i], name: text(list.name[i]), before: text(list.before[i]), now: text(list.now[i]),
    times: text(list.times[i]) ?? "", values: list.values[i],
  });
  const lists = against.lists.map((list) => ({ title: text(list.title), left_out: list.left_out, rows: list.name.map((_, i) => row(list, i)) }));
  return { name: text(against.name), notes: against.notes.map(text), lists };
}

function parents(up) {
  const parent = new Int32Array(up.length);
  for (let i = 0; i < up.length; i++) parent[i] = up[i] ? i - up[i] : -1;
  return parent;
}

function decodeProcesses(columns) {
  const n = columns.up.length;
  const parent = parents(columns.up);
  const start = new Float64Array(n);
  const end = new Float64Array(n);
  const children = Array.from({ length: n }, () => []);
  const roots = [];
  // Pre-order: below a process is all up to `last`.
  const last = new Int32Array(n);
  let at = 0;
  for (let p = 0; p < n; p++) {
    at += columns.start_us[p];
    start[p] = at;
    end[p] = columns.dur_us[p] === null ? Infinity : at + columns.dur_us[p];
    (parent[p] < 0 ? roots : children[parent[p]]).push(p);
    last[p] = p;
  }
  for (let p = n - 1; p >= 0; p--) {
    if (parent[p] >= 0) last[parent[p]] = Math.max(last[parent[p]], last[p]);
  }
  return { ...columns, n, parent, start, end, children, roots, last };
}

function decodePaths(columns) {
  return { n: columns.up.length, parent: parents(columns.up), fn: Int32Array.from(columns.function) };
}

/** Whether a loss is one of processes; else it is one of stacks. */
function isOfLife(loss) {
  return ["fork", "exec", "exit", "snapshot"].includes(loss.stream);
}

/** Intervals of loss as times that do not overlap. */
function joined(losses) {
  const all = losses.map((l) => ({ t0: l.t0_us, t1: l.t1_us })).sort((a, b) => a.t0 - b.t0);
  const times = [];
  for (const { t0, t1 } of all) {
    const last = times.at(-1);
    if (last && t0 <= last.t1) last.t1 = Math.max(last.t1, t1);
    else times.push({ t0, t1 });
  }
  return times;
}

/** Where the execs of each process begin; they are in order of process and time. */
function decodeExecs(R) {
  const { exec, process } = R;
  exec.n = exec.process.length;
  exec.ts = new Float64Array(exec.n);
  exec.first = new Int32Array(process.n + 1).fill(exec.n);
  for (let e = exec.n - 1; e >= 0; e--) {
    exec.first[exec.process[e]] = e;
    exec.ts[e] = process.start[exec.process[e]] + exec.after_us[e];
  }
  for (let p = process.n - 1; p >= 0; p--) {
    exec.first[p] = Math.min(exec.first[p], exec.first[p + 1]);
  }
}

/** CPU time by process, as steps with their share of one CPU. */
function decodeCpu(R) {
  const { cpu_process, cpu_step, cpu_ns, cpu_width, step_us } = R.series;
  const width_us = step_us * cpu_width;
  R.cpu = new Map();
  R.cpuSum = new Float64Array(R.process.n);
  for (let i = 0; i < cpu_process.length; i++) {
    const p = cpu_process[i];
    let cells = R.cpu.get(p);
    if (!cells) R.cpu.set(p, (cells = { step: [], share: [], width_us }));
    cells.step.push(cpu_step[i] + (cells.step.at(-1) ?? 0));
    cells.share.push(cpu_ns[i] / 1e3 / width_us);
    R.cpuSum[p] += cpu_ns[i];
  }
}

/** The execs of a process, in order of time. */
function* execsOf(R, p) {
  for (let e = R.exec.first[p]; e < R.exec.first[p + 1]; e++) yield e;
}

/** Its ancestors, the parent first. */
function* ancestors(R, p) {
  for (let at = R.process.parent[p]; at >= 0; at = R.process.parent[at]) yield at;
}

function commOf(R, p) {
  return R.text(R.process.comm[p]) || "[no name]";
}

/** Its command line, or its name in brackets, as ps writes kernel threads. */
function titleOf(R, p) {
  return R.text(R.process.cmdline[p]) || `[${commOf(R, p)}]`;
}

/** How it ended, where that is known and not well. */
function failureOf(R, p) {
  const { exit_code, exit_signal } = R.process;
  if (exit_signal[p]) return signalName(exit_signal[p]);
  return exit_code[p] ? `exit ${exit_code[p]}` : null;
}
