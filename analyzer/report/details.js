// All that is known of one process, or of the runs of a group.

class Details {
  constructor(R, actions) {
    this.R = R;
    this.actions = actions;
    this.box = $("details");
    on("select", (selected) => this.show(selected));
  }

  show({ p, members }) {
    if (!(p >= 0)) {
      this.box.hidden = true;
      return;
    }
    this.box.hidden = false;
    this.box.replaceChildren(...(members ? this.#group(members) : this.#process(p)));
    this.box.scrollTop = 0;
  }

  #head(name, note, buttons) {
    return el("div", { class: "details-head" },
      this.#dot(name), el("h2", null, name), el("span", { class: "dim" }, note),
      el("button", { class: "close", type: "button", title: "Close (Esc)", onclick: () => this.actions.close() }, "×"),
      el("div", { class: "buttons" }, buttons));
  }

  #dot(name) {
    const dot = el("i", { class: "dot" });
    dot.style.background = colours.program(name).solid;
    return dot;
  }

  #process(p) {
    const { R, actions } = this;
    const name = commOf(R, p);
    const buttons = [
      el("button", { type: "button", onclick: () => actions.zoomTo(p) }, "Zoom to"),
      el("button", { type: "button", onclick: () => actions.focusOn(p) }, "Only its tree"),
      R.pathsOf.has(p) && el("button", { type: "button", onclick: () => actions.showPaths(p) }, "Call paths"),
      R.text(R.process.cmdline[p]) && this.#copyButton(R.text(R.process.cmdline[p])),
    ].filter(Boolean);
    return [
      this.#head(name, `pid ${R.process.pid[p]}`, buttons),
      this.#life(p),
      this.#command(p),
      this.#facts(p),
      this.#chain(p),
      this.#images(p),
      this.#caller("Forked by this code", R.process.caller[p], R.process.parent[p]),
      this.#children(p),
    ].filter(Boolean);
  }

  #copyButton(line) {
    const button = el("button", { type: "button", title: "Copy the command line, quoted for a shell" }, "Copy command");
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(line);
        button.textContent = "Copied";
      } catch {
        button.textContent = "Not allowed here";
      }
    });
    return button;
  }

  #life(p) {
    const { process, begin_us, length_us } = this.R;
    const isOver = process.end[p] <= length_us;
    const start = clockNear(begin_us + process.start[p], begin_us, process.start[p] < 0 ? 1e6 : 1e3);
    const before = process.start[p] < 0 ? ", before the recording" : "";
    const failure = failureOf(this.R, p);
    const end = !isOver ? "still running at the end"
      : `ran ${duration(process.end[p] - process.start[p])}, ${failure ?? (process.exit_code[p] === 0 ? "exit 0" : "end not known")}`;
    return el("p", { class: `life${failure ? " failed" : ""}` }, `${start}${before} · ${end}`);
  }

  #section(title, ...content) {
    return el("section", null, el("h3", null, title), content);
  }

  #argv(number, state) {
    const argv = number === null || number === undefined ? null : this.R.argvs[number];
    if (!argv) return null;
    const items = argv.slice(1).map((arg) => {
      const text = this.R.text(arg);
      return el("li", null, el("code", text === "" ? { class: "empty" } : null, text === "" ? "(empty)" : text));
    });
    const list = el("ol", { class: "argv", start: 0 }, items);
    const more = argv[0] - items.length;
    const notes = [more > 0 && `and ${counted(more, "more argument", "more arguments")}`, state && `as recorded: ${state}`];
    return [list, ...notes.filter(Boolean).map((note) => el("p", { class: "dim" }, note))];
  }

  #command(p) {
    const argv = this.#argv(this.R.process.argv[p]);
    return argv ? this.#section("Arguments", argv) : null;
  }

  #facts(p) {
    const { R } = this;
    const { process } = R;
    const sources = {
      snapshot: "running when recording began", exec: "its exec; the fork was not seen",
      inferred: "its children or its end; it was not seen itself", fork: "its fork",
    };
    const facts = [
      ["program", R.text(process.exe[p])],
      ["directory", R.text(process.cwd[p])],
      ["user", process.uid[p] === null ? null : process.uid[p] === 0 ? "0 (root)" : String(process.uid[p])],
      ["cgroup", R.text(process.cgroup[p])],
      ["CPU time", process.cpu_us[p] === null ? null : `${duration(process.cpu_us[p])} in all`],
      ["CPU samples", R.cpuSum[p] ? duration(R.cpuSum[p] / 1e3) : null],
      ["memory", process.max_rss_bytes[p] ? `${bytes(process.max_rss_bytes[p])} at most` : null],
      ["known by", sources[R.text(process.source[p])] ?? R.text(process.source[p])],
    ];
    const rows = facts.filter(([, value]) => value !== null);
    return el("dl", null, rows.map(([name, value]) => [el("dt", null, name), el("dd", null, value)]));
  }

  #link(p, ...more) {
    const link = el("button", { class: "link", type: "button", title: cut(titleOf(this.R, p), 400) },
      this.#dot(commOf(this.R, p)), el("b", null, commOf(this.R, p)), el("span", { class: "dim" }, ` ${this.R.process.pid[p]} `), ...more);
    link.addEventListener("click", () => this.actions.select(p));
    return link;
  }

  #chain(p) {
    const chain = [...ancestors(this.R, p)].reverse();
    if (!chain.length) return null;
    const items = chain.map((above) =>
      el("li", null, this.#link(above), el("span", { class: "line" }, cut(this.R.text(this.R.process.cmdline[above]) ?? "", 160))));
    return this.#section("Started by", el("ol", { class: "chain" }, items));
  }

  /** What it executed, with the code that did it where that is not its fork. */
  #images(p) {
    const { R } = this;
    const all = [...execsOf(R, p)];
    if (!all.length) return null;
    const items = all.map((e) => {
      const failed = R.exec.errno[e] ? ` — ${errorName(R.exec.errno[e])}` : "";
      const isShown = all.length > 1 || failed || R.exec.argv[e] !== R.process.argv[p];
      const state = R.text(R.exec.argv_state[e]);
      return el("li", { class: failed ? "failed" : null },
        el("time", null, clockTime(R.begin_us + R.exec.ts[e], 1e3)), " ", el("b", null, R.text(R.exec.comm[e])),
        el("span", { class: "dim" }, failed),
        isShown && el("div", { class: "line" }, cut(R.text(R.exec.cmdline[e]) ?? "", 600)),
        state && el("div", { class: "failed" }, `arguments are ${state}`),
        this.#stack(R.exec.caller[e], "called by"));
    });
    return this.#section("Executed", el("ol", { class: "images" }, items));
  }

  #frames(path) {
    const { fn, parent } = this.R.path;
    const items = [];
    for (let at = path; at >= 0; at = parent[at]) {
      const kind = this.R.function.kind[fn[at]];
      items.push(el("li", { class: ["program", "kernel", "unnamed", "mark"][kind] }, el("code", null, this.R.text(this.R.function.name[fn[at]]))));
    }
    return el("ol", { class: "frames" }, items);
  }

  #stack(path, title) {
    if (path === null || path === undefined) return null;
    return el("details", null, el("summary", null, title), this.#frames(path));
  }

  #caller(title, path, parent) {
    if (path === null || path === undefined) return null;
    const who = parent >= 0 ? el("p", null, this.#link(parent), el("span", { class: "dim" }, " · innermost function first")) : null;
    return this.#section(title, who, this.#frames(path));
  }

  #children(p) {
    const names = new Map();
    for (const child of this.R.process.children[p]) {
      const name = commOf(this.R, child);
      if (names.has(name)) names.get(name).push(child);
      else names.set(name, [child]);
    }
    const more = this.R.process.left_out[p];
    if (!names.size && !more) return null;
    const sorted = [...names].sort((a, b) => b[1].length - a[1].length);
    const items = sorted.slice(0, 30).map(([, all]) =>
      el("li", null, this.#link(all[0], all.length > 1 ? el("span", { class: "extra" }, `×${count(all.length)}`) : null)));
    const rest = [sorted.length > 30 && `and ${count(sorted.length - 30)} more names`, more && `${count(more)} more are not in this report`];
    return this.#section("Started", el("ul", { class: "children" }, items), rest.filter(Boolean).map((text) => el("p", { class: "dim" }, text)));
  }

  /** The runs of a group: how often, how long, with what, from where. */
  #group(members) {
    const { R } = this;
    const { process } = R;
    const name = commOf(R, members[0]);
    const over = members.filter((p) => process.end[p] <= R.length_us && process.start[p] >= 0);
    const took = over.map((p) => process.end[p] - process.start[p]);
    const starts = members.map((p) => process.start[p]).filter((t) => t >= 0);
    const gaps = starts.slice(1).map((t, i) => t - starts[i]);
    const failed = members.filter((p) => failureOf(R, p));
    const facts = [
      gaps.length > 1 && ["every", `${duration(median(gaps))} (median)`],
      took.length && ["ran", `${duration(Math.min(...took.slice(0, 1e5)))} to ${duration(Math.max(...took.slice(0, 1e5)))}, median ${duration(median(took))}`],
      ["failed", failed.length ? `${count(failed.length)}: ${[...new Set(failed.map((p) => failureOf(R, p)))].slice(0, 5).join(", ")}` : "none"],
    ].filter(Boolean);
    const parts = [
      this.#head(name, `×${count(members.length)}`, []),
      el("dl", null, facts.map(([key, value]) => [el("dt", null, key), el("dd", null, value)])),
      this.#section("Command lines", this.#ranked(members, (p) => titleOf(R, p))),
    ];
    const callers = new Map();
    for (const p of members) {
      const path = process.caller[p];
      if (path !== null) callers.set(path, (callers.get(path) ?? 0) + 1);
    }
    const sorted = [...callers].sort((a, b) => b[1] - a[1]);
    sorted.slice(0, 5).forEach(([path, times], i) => {
      const title = i ? `${count(times)} by this code` : `Forked by this code, ${counted(times, "time", "times")}`;
      parts.push(this.#caller(title, path, i ? -1 : process.parent[members[0]]));
    });
    if (sorted.length > 5) parts.push(el("p", { class: "dim" }, `and ${count(sorted.length - 5)} more call paths`));
    parts.push(this.#chain(members[0]));
    return parts.filter(Boolean);
  }

  #ranked(members, key) {
    const by = new Map();
    for (const p of members) {
      const known = by.get(key(p));
      if (known) known.n += 1;
      else by.set(key(p), { n: 1, p });
    }
    const sorted = [...by].sort((a, b) => b[1].n - a[1].n);
    const items = sorted.slice(0, 12).map(([line, { n }]) =>
      el("li", null, el("span", { class: "extra" }, `${count(n)}×`), " ", el("code", null, cut(line, 600))));
    const more = sorted.length > 12 ? el("p", { class: "dim" }, `and ${count(sorted.length - 12)} more`) : null;
    return [el("ul", { class: "ranked" }, items), more];
  }
}
