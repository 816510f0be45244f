// Numbers, times and durations as people read them.

const MINUS = "\u2212";

/** 1,234,567 */
function count(n) {
  return n.toLocaleString("en-US");
}

/** "1 run", "2 runs" */
function counted(n, one, many) {
  return `${count(n)} ${n === 1 ? one : many}`;
}

/** A duration in microseconds with the unit that fits. */
function duration(us) {
  const sign = us < 0 ? MINUS : "";
  const x = Math.abs(us);
  if (x < 1) return `${sign}${Math.round(x * 1e3)} ns`;
  if (x < 1e3) return `${sign}${trimmed(x, 1)} µs`;
  if (x < 1e6) return `${sign}${trimmed(x / 1e3, 1)} ms`;
  if (x < 60e6) return `${sign}${trimmed(x / 1e6, 2)} s`;
  const s = Math.round(x / 1e6);
  const two = (n) => String(n).padStart(2, "0");
  if (s < 3600) return `${sign}${Math.floor(s / 60)}m${two(s % 60)}s`;
  if (s < 86400) return `${sign}${Math.floor(s / 3600)}h${two(Math.floor(s / 60) % 60)}m`;
  return `${sign}${Math.floor(s / 86400)}d${two(Math.floor(s / 3600) % 24)}h`;
}

function trimmed(x, digits) {
  return x >= 100 ? String(Math.round(x)) : String(Number(x.toFixed(digits)));
}

function bytes(n) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let at = 0;
  while (n >= 1024 && at < units.length - 1) {
    n /= 1024;
    at += 1;
  }
  return `${at ? n.toFixed(1) : n} ${units[at]}`;
}

function percent(part, whole) {
  if (!(whole > 0)) return "0 %";
  const p = (100 * part) / whole;
  return `${p >= 10 || p === 0 ? p.toFixed(1) : p.toFixed(2)} %`;
}

/** A weight in the unit of its event. */
function amount(weight, unit) {
  if (unit === "ns") return duration(weight / 1e3);
  if (unit === "hits") return counted(weight, "hit", "hits");
  return `${count(weight)} ${unit}`;
}

/** Wall-clock time, UTC, of microseconds since 1970: as fine as `step_us`. */
function clockTime(wall_us, step_us = 1e6) {
  const date = new Date(Math.floor(wall_us / 1e3));
  if (Number.isNaN(date.getTime())) return "--:--:--";
  const seconds = date.toISOString().slice(11, 19);
  if (step_us >= 1e6) return seconds;
  const part = ((wall_us % 1e6) + 1e6) % 1e6;
  const digits = step_us >= 1e3 ? 3 : 6;
  return `${seconds}.${String(Math.floor(part)).padStart(6, "0").slice(0, digits)}`;
}

function clockDate(wall_us) {
  const date = new Date(Math.floor(wall_us / 1e3));
  return Number.isNaN(date.getTime()) ? "----------" : date.toISOString().slice(0, 10);
}

/** Date and time, the date only where it is not that of `near_us`. */
function clockNear(wall_us, near_us, step_us) {
  const time = clockTime(wall_us, step_us);
  const date = clockDate(wall_us);
  return date === clockDate(near_us) ? time : `${date} ${time}`;
}

const SIGNALS = ("HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT " +
  "CHLD CONT STOP TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS").split(" ");

function signalName(n) {
  return SIGNALS[n - 1] ? `SIG${SIGNALS[n - 1]}` : `signal ${n}`;
}

const ERRORS = {
  1: "not permitted", 2: "no such file", 7: "argument list too long", 8: "not executable",
  12: "out of memory", 13: "permission denied", 14: "bad address", 20: "not a directory",
  26: "file is being written", 40: "too many links",
};

function errorName(errno) {
  return ERRORS[errno] ? `${ERRORS[errno]} (errno ${errno})` : `errno ${errno}`;
}

/** The middle of some numbers. */
function median(numbers) {
  if (!numbers.length) return NaN;
  const sorted = Float64Array.from(numbers).sort();
  const half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}
