// Which programs ran, by the chain of programs that started them: the answer of
// `whence who` for all programs at once.

class Programs {
  constructor(R, actions) {
    this.R = R;
    this.actions = actions;
    this.by = "runs";
    this.isMatch = null;
    this.all = this.#collect();
    this.box = $("programs");
    on("tab", () => this.draw());
    on("theme", () => this.draw());
  }

  /** Runs by chain and name: an exec that succeeded is a run. */
  #collect() {
    const { R } = this;
    const { process, exec } = R;
    const chains = new Map();
    const chainOf = new Int32Array(process.n);
    const next = (above, name) => {
      const key = `${above} ${name}`;
      if (!chains.has(key)) chains.set(key, chains.size + 1);
      return chains.get(key);
    };
    for (let p = 0; p < process.n; p++) {
      const parent = process.parent[p];
      chainOf[p] = next(parent < 0 ? 0 : chainOf[parent], process.comm[p]);
    }
    const found = new Map();
    for (let e = 0; e < exec.n; e++) {
      if (exec.errno[e]) continue;
      const p = exec.process[e];
      const parent = process.parent[p];
      const key = `${parent < 0 ? 0 : chainOf[parent]} ${exec.comm[e]}`;
      let runs = found.get(key);
      if (!runs) found.set(key, (runs = { name: R.text(exec.comm[e]), parent, runs: 0, failed: 0, cpu: 0, ts: [], took: [], first: p, line: R.text(exec.cmdline[e]), same: true }));
      runs.runs += 1;
      runs.ts.push(exec.ts[e]);
      runs.same &&= R.text(exec.cmdline[e]) === runs.line;
      const isLast = exec.ts[e] === this.#lastExec(p);
      if (!isLast) continue;
      runs.failed += failureOf(R, p) ? 1 : 0;
      runs.cpu += R.cpuSum[p];
      if (process.end[p] <= R.length_us) runs.took.push(process.end[p] - exec.ts[e]);
    }
    for (const runs of found.values()) this.#sumUp(runs);
    return [...found.values()];
  }

  #lastExec(p) {
    let ts = NaN;
    for (const e of execsOf(this.R, p)) if (!this.R.exec.errno[e]) ts = this.R.exec.ts[e];
    return ts;
  }

  /** A period is said where half of the gaps are near the middle one. */
  #sumUp(runs) {
    runs.ts.sort((a, b) => a - b);
    const gaps = runs.ts.slice(1).map((t, i) => t - runs.ts[i]);
    const middle = median(gaps);
    const near = gaps.filter((gap) => Math.abs(gap - middle) < 0.25 * middle);
    runs.every = gaps.length >= 3 && near.length * 2 >= gaps.length ? middle : null;
    runs.typical = runs.took.length ? median(runs.took) : null;
    runs.chain = runs.parent < 0 ? [] : [runs.parent, ...ancestors(this.R, runs.parent)];
    runs.text = `${runs.name} ${runs.line ?? ""} ${runs.chain.map((p) => commOf(this.R, p)).join(" ")}`;
  }

  filter(isMatch) {
    this.isMatch = isMatch;
    this.draw();
    return isMatch ? this.shown.length : null;
  }

  draw() {
    const key = (row) => (this.by === "name" ? row.name : (row[this.by] ?? -1));
    this.shown = this.all.filter((row) => !this.isMatch || this.isMatch(row.text));
    this.shown.sort((a, b) => (this.by === "name" ? (key(a) < key(b) ? -1 : 1) : key(b) - key(a) || b.cpu - a.cpu));
    if (this.box.hidden) return;
    const columns = [
      ["name", "Program"], ["runs", "Runs"], ["every", "Every"], ["typical", "Ran for"],
      ["failed", "Failed"], ["cpu", "CPU"], [null, "Started by"],
    ];
    const heads = columns.map(([by, title]) => {
      const content = by ? el("button", { type: "button", "aria-pressed": String(by === this.by) }, title) : title;
      if (by) content.addEventListener("click", () => ((this.by = by), this.draw()));
      return el("th", { class: by && by !== "name" ? "n" : null }, content);
    });
    const most = 2000;
    const rows = this.shown.slice(0, most).map((row) => this.#row(row));
    const more = this.shown.length > most ? `${count(this.shown.length - most)} more; search narrows the list` : "";
    this.box.replaceChildren(
      this.all.length
        ? el("table", null, el("thead", null, el("tr", null, heads)), el("tbody", null, rows))
        : el("p", { class: "notice" }, "no program was executed while it was recorded"),
      el("p", { class: "dim" }, more));
  }

  #row(row) {
    const { R } = this;
    const dot = el("i", { class: "dot" });
    dot.style.background = colours.program(row.name).solid;
    const line = row.same ? row.line : "different arguments";
    const arrow = () => el("span", { class: "dim" }, " → ");
    const chain = row.chain.slice(0, 4).reverse().map((p, i) => [i ? arrow() : null, commOf(R, p)]);
    const more = row.chain.length > 4 ? ["…", arrow()] : null;
    const cells = [
      el("td", null, el("div", { class: "program" }, dot, el("b", null, row.name), el("span", { class: "line" }, cut(line ?? "", 200)))),
      ...[
        count(row.runs), row.every === null ? "" : duration(row.every), row.typical === null ? "" : duration(row.typical),
        row.failed ? count(row.failed) : "", row.cpu ? duration(row.cpu / 1e3) : "",
      ].map((text, i) => el("td", { class: i === 3 && text ? "n failed" : "n" }, text)),
      el("td", { class: "chain-cell", title: row.chain.map((p) => commOf(R, p)).reverse().join(" → ") }, more, chain),
    ];
    const tr = el("tr", { tabindex: 0 }, cells);
    const open = () => this.actions.showRuns(row);
    tr.addEventListener("click", open);
    tr.addEventListener("keydown", (event) => event.key === "Enter" && open());
    return tr;
  }
}
