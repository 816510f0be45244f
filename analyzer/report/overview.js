// The whole recording in one strip: CPU time, execs, what was lost, and which
// part of it the timeline shows.

/** The part of time that is shown; everything that draws time follows it. */
class View {
  constructor(length_us) {
    this.length = length_us;
    this.from = 0;
    this.to = length_us;
  }

  get span() {
    return this.to - this.from;
  }

  set(from, to) {
    const span = Math.min(Math.max(to - from, 20), this.length);
    const at = Math.min(Math.max(from, 0), this.length - span);
    if (at === this.from && at + span === this.to) return;
    this.from = at;
    this.to = at + span;
    emit("view");
  }

  /** Makes it `factor` times as long, with the instant at `share` where it is. */
  zoom(factor, share = 0.5) {
    const at = this.from + this.span * share;
    const span = this.span * factor;
    this.set(at - span * share, at + span * (1 - share));
  }

  pan(share) {
    this.set(this.from + this.span * share, this.to + this.span * share);
  }

  all() {
    this.set(0, this.length);
  }

  /** Shows an interval with some room around it. */
  fit(from, to) {
    const room = Math.max((to - from) * 0.15, 50);
    this.set(from - room, to + room);
  }
}

class Overview {
  constructor(R, view) {
    this.R = R;
    this.view = view;
    this.canvas = $("overview");
    this.draw = scheduled(() => this.#draw());
    resized($("overview-box"), this.draw);
    for (const event of ["view", "theme"]) on(event, this.draw);
    this.#listen();
  }

  #draw() {
    const box = $("overview-box").getBoundingClientRect();
    if (!box.width) return;
    const [width, height] = [box.width - 2, 70];
    const context = prepared(this.canvas, width, height);
    const floor = height - 16;
    this.#drawTicks(context, width, height);
    this.#drawCpu(context, width, floor);
    this.#drawExecs(context, width, floor);
    drawLoss(context, this.R.lost.stacks, (us) => (us / this.view.length) * width, width, 7, colours.warn);
    drawLoss(context, this.R.lost.life, (us) => (us / this.view.length) * width, width, floor, colours.bad);
    this.#drawWindow(context, width, floor);
  }

  #drawTicks(context, width, height) {
    const step = roundStep(this.view.length, width, 110);
    context.font = SANS;
    context.fillStyle = colours.dim;
    const begin = this.R.begin_us;
    for (let t = Math.ceil(begin / step) * step; t < begin + this.view.length; t += step) {
      const x = ((t - begin) / this.view.length) * width;
      context.fillRect(Math.round(x), height - 16, 1, 4);
      if (x < width - 70) context.fillText(clockTime(t, step), x + 5, height - 5);
    }
    context.fillStyle = colours.line;
    context.fillRect(0, height - 16, width, 1);
  }

  #drawCpu(context, width, floor) {
    const { events, series, recordings } = this.R;
    const at = events.findIndex((event) => event.name === "cpu-clock");
    if (at < 0) return;
    const cpus = Math.max(1, ...recordings.map((r) => r.cpus));
    const most = cpus * series.step_us * 1e3;
    context.beginPath();
    context.moveTo(0, floor);
    const steps = series.events[at];
    const x = (i) => ((i * series.step_us) / this.view.length) * width;
    steps.forEach((ns, i) => {
      const y = floor - Math.min(1, ns / most) * (floor - 4);
      context.lineTo(x(i), y);
      context.lineTo(x(i + 1), y);
    });
    context.lineTo(width, floor);
    context.globalAlpha = 0.3;
    context.fillStyle = colours.accent;
    context.fill();
    context.globalAlpha = 1;
  }

  #drawExecs(context, width, floor) {
    const { exec, step_us } = this.R.series;
    const most = Math.max(1, ...exec);
    const w = Math.max(1, (step_us / this.view.length) * width - 0.5);
    context.fillStyle = colours.warn;
    exec.forEach((n, i) => {
      if (!n) return;
      const h = Math.max(2, (Math.sqrt(n / most) * floor) / 2);
      context.fillRect(((i * step_us) / this.view.length) * width, floor - h, w, h);
    });
  }

  #drawWindow(context, width, floor) {
    const { from, to, length } = this.view;
    if (from <= 0 && to >= length) return;
    const [x0, x1] = [(from / length) * width, (to / length) * width];
    context.globalAlpha = 0.72;
    context.fillStyle = colours.paper;
    context.fillRect(0, 0, x0, floor);
    context.fillRect(x1, 0, width - x1, floor);
    context.globalAlpha = 1;
    context.fillStyle = colours.accent;
    context.fillRect(x0 - 1, 0, 2, floor);
    context.fillRect(x1 - 1, 0, 2, floor);
  }

  #listen() {
    let drag = null;
    const time = (event) => {
      const box = this.canvas.getBoundingClientRect();
      return Math.min(1, Math.max(0, (event.clientX - box.left) / box.width)) * this.view.length;
    };
    this.canvas.addEventListener("pointerdown", (event) => {
      this.canvas.setPointerCapture(event.pointerId);
      const at = time(event);
      const { from, to, span, length } = this.view;
      const isInside = span < length && at > from && at < to;
      drag = { at, x: event.clientX, from: isInside ? from : null };
    });
    this.canvas.addEventListener("pointermove", (event) => {
      const at = time(event);
      if (drag?.from !== null && drag) {
        const from = drag.from + at - drag.at;
        this.view.set(from, from + this.view.span);
      } else if (drag && Math.abs(event.clientX - drag.x) > 3) {
        this.view.set(Math.min(at, drag.at), Math.max(at, drag.at));
      }
      tip(event, this.#said(at));
    });
    this.canvas.addEventListener("pointerup", () => (drag = null));
    this.canvas.addEventListener("pointerleave", (event) => tip(event, null));
    this.canvas.addEventListener("dblclick", () => this.view.all());
  }

  #said(at) {
    const { series, events, losses, begin_us } = this.R;
    const step = Math.min(series.exec.length - 1, Math.floor(at / series.step_us));
    const lines = [clockTime(begin_us + at, series.step_us), counted(series.exec[step], "exec", "execs")];
    events.forEach((event, i) => {
      if (series.events[i][step]) lines.push(`${event.name}: ${amount(series.events[i][step], event.unit)}`);
    });
    lines.push(...losses.filter((l) => l.t0_us <= at && l.t1_us >= at).map(lossLine));
    return lines;
  }
}

/** Hatches the times of a loss, however short they are. */
function drawLoss(context, times, x, width, height, colour, strength) {
  for (const { t0, t1 } of times) {
    const [from, to] = [Math.max(x(t0), 0), Math.min(x(t1), width)];
    if (to >= 0 && from <= width) hatched(context, from, 0, Math.max(3, to - from), height, colour, strength);
  }
}

/** What was lost, in words. */
function lossLine(loss) {
  return `lost: ${count(loss.count)} ${loss.stream} events (${loss.cause})`;
}
