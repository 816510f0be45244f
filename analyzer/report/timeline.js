// The lanes of the processes: when each lived, which program it was, how much
// CPU time it used, and how it ended.

const ROW = 22;
/** Pixels of a bar that is too short to see. */
const LEAST = 1.5;

class Timeline {
  constructor(R, view, rows) {
    this.R = R;
    this.view = view;
    this.rows = rows;
    this.width = 0;
  }

  x(us) {
    return ((us - this.view.from) / this.view.span) * this.width;
  }

  time(x) {
    return this.view.from + (x / this.width) * this.view.span;
  }

  /** Draws the lanes of rows from `first`, whose lane begins at `top`. */
  drawLanes(canvas, width, height, first, top, isSelected) {
    this.width = width;
    const context = prepared(canvas, width, height);
    this.#drawGrid(context, width, height);
    drawLoss(context, this.R.lost.life, (us) => this.x(us), width, height, colours.bad, 0.5);
    for (let i = first, y = top; i < this.rows.list.length && y < height; i++, y += ROW) {
      const row = this.rows.list[i];
      if (row.p < 0) continue;
      if (isSelected(row)) {
        context.fillStyle = colours.faint;
        context.fillRect(0, y, width, ROW);
      }
      if (row.members) this.#drawGroup(context, row, y);
      else this.#drawProcess(context, row.p, y);
    }
  }

  drawAxis(canvas, width, height) {
    this.width = width;
    const context = prepared(canvas, width, height);
    const { from, to, span } = this.view;
    const step = roundStep(span, width, 110);
    const begin = this.R.begin_us;
    context.font = SANS;
    for (let t = Math.ceil((begin + from) / step) * step; t <= begin + to; t += step) {
      const x = Math.round(this.x(t - begin));
      context.fillStyle = colours.line;
      context.fillRect(x, height - 6, 1, 6);
      context.fillStyle = colours.dim;
      context.fillText(clockTime(t, step), x + 4, height / 2);
    }
    drawLoss(context, this.R.lost.stacks, (us) => this.x(us), width, 5, colours.warn);
    drawLoss(context, this.R.lost.life, (us) => this.x(us), width, height, colours.bad);
  }

  #drawGrid(context, width, height) {
    const step = roundStep(this.view.span, width, 110);
    const begin = this.R.begin_us;
    context.fillStyle = colours.line;
    for (let t = Math.ceil((begin + this.view.from) / step) * step; t <= begin + this.view.to; t += step) {
      context.fillRect(Math.round(this.x(t - begin)), 0, 1, height);
    }
  }

  /** Bars in order of their starts; those that would lie on one pixel are one. */
  #drawGroup(context, row, y) {
    const { start, end } = this.R.process;
    let drawn = -Infinity;
    for (const p of row.members) {
      if (this.rows.matches && !this.rows.matches[p] && !this.rows.kept[p]) continue;
      if (start[p] > this.view.to || end[p] < this.view.from) continue;
      const x1 = this.x(Math.min(end[p], this.view.to));
      if (x1 < drawn + 1 && !failureOf(this.R, p)) continue;
      this.#drawProcess(context, p, y, true);
      drawn = Math.max(x1, this.x(start[p]) + LEAST);
    }
  }

  #drawProcess(context, p, y, isOne = false) {
    const { process, exec } = this.R;
    const [start, end] = [process.start[p], process.end[p]];
    if (start > this.view.to || end < this.view.from) return;
    // What it was from when to when: each exec makes it another program.
    let from = start;
    let name = this.R.text(process.born_as[p]);
    for (const e of execsOf(this.R, p)) {
      if (exec.errno[e]) continue;
      // What it was before the recording is not known; it is drawn as what it became.
      const next = this.R.text(exec.comm[e]);
      this.#drawImage(context, name ?? next, from, exec.ts[e], y);
      [from, name] = [exec.ts[e], next];
    }
    name ??= commOf(this.R, p);
    this.#drawImage(context, name, from, end, y);
    this.#drawCpu(context, p, y);
    this.#drawEvents(context, p, y);
    if (!isOne) this.#drawLabel(context, p, name, Math.max(start, this.view.from), end, y);
  }

  #drawImage(context, name, from, to, y) {
    if (to < this.view.from || from > this.view.to) return;
    const x0 = Math.max(-2, this.x(from));
    const x1 = Math.min(this.width + 2, this.x(to));
    const w = Math.max(LEAST, x1 - x0);
    const colour = colours.program(name);
    context.fillStyle = w < 4 ? colour.solid : colour.faint;
    context.fillRect(x0, y + 4, w, ROW - 8);
    if (w >= 4) {
      context.fillStyle = colour.edge;
      context.fillRect(x0, y + 4, 1.5, ROW - 8);
    }
  }

  #drawLabel(context, p, name, from, to, y) {
    const left = Math.max(this.x(from), 0) + 5;
    const room = Math.min(this.x(to), this.width) - left - 4;
    if (room < 26) return;
    context.font = MONO;
    context.fillStyle = colours.program(name).text;
    const line = this.R.text(this.R.process.cmdline[p]) ?? name;
    context.fillText(fitted(context, cut(line, 400), room), left, y + ROW / 2 + 0.5);
  }

  /** CPU time as a graph inside of the bar. */
  #drawCpu(context, p, y) {
    const cells = this.R.cpu.get(p);
    if (!cells) return;
    const { start, end, comm } = this.R.process;
    context.fillStyle = colours.program(this.R.text(comm[p])).solid;
    context.globalAlpha = 0.55;
    for (let i = 0; i < cells.step.length; i++) {
      const t0 = Math.max(start[p], cells.step[i] * cells.width_us);
      const t1 = Math.min(end[p], (cells.step[i] + 1) * cells.width_us);
      if (t1 < this.view.from || t0 > this.view.to || t1 <= t0) continue;
      const h = Math.max(1, Math.min(1, cells.share[i]) * (ROW - 8));
      const x = this.x(t0);
      context.fillRect(x, y + ROW - 4 - h, Math.max(1, this.x(t1) - x), h);
    }
    context.globalAlpha = 1;
  }

  /** Execs that failed, and an end that was not well. */
  #drawEvents(context, p, y) {
    const { exec, process } = this.R;
    context.fillStyle = colours.bad;
    for (const e of execsOf(this.R, p)) {
      if (exec.errno[e]) context.fillRect(this.x(exec.ts[e]) - 0.5, y + 2, 1.5, 5);
    }
    if (!failureOf(this.R, p)) return;
    const x = this.x(process.end[p]);
    context.beginPath();
    context.arc(x, y + ROW / 2, process.exit_signal[p] ? 3.5 : 2.5, 0, 7);
    context.fill();
  }

  /** The process at a place of a lane: the nearest that lived then, or almost. */
  at(row, x) {
    if (!row || row.p < 0) return -1;
    if (!row.members) return row.p;
    const { start, end } = this.R.process;
    let [best, least] = [-1, 6];
    for (const p of row.members) {
      const x0 = this.x(start[p]);
      const x1 = Math.max(x0 + LEAST, this.x(Math.min(end[p], this.view.to)));
      const away = Math.max(x0 - x, x - x1, 0);
      if (away < least) [best, least] = [p, away];
    }
    return best;
  }
}

/** A process in a few lines. */
function processLines(R, p) {
  const { process, begin_us, length_us } = R;
  const lines = [`${commOf(R, p)} ${process.pid[p]}`, cut(titleOf(R, p), 240)];
  const start = clockNear(begin_us + process.start[p], begin_us, 1e3);
  const isOver = process.end[p] <= length_us;
  const life = isOver
    ? `${start}, ran ${duration(process.end[p] - process.start[p])}`
    : `since ${start}, still running`;
  const failure = failureOf(R, p);
  lines.push(failure ? `${life}, ${failure}` : life);
  if (R.cpuSum[p]) lines.push(`${duration(R.cpuSum[p] / 1e3)} of CPU time in samples`);
  return lines;
}
