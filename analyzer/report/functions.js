// The tools above a flame graph, and the list of functions beside it.

const LINE = 22;

class Functions {
  constructor(R, paths, flame) {
    this.R = R;
    this.paths = paths;
    this.flame = flame;
    this.order = "self";
    this.isMatch = null;
    this.pool = [];
    this.#build();
    this.draw = scheduled(() => this.#draw());
    resized(this.list, this.draw);
    on("paths", () => this.#load());
    on("tab", this.draw);
    on("function", (fn) => this.#mark(fn));
    this.#choices();
  }

  #build() {
    const header = (key, label, title) => {
      const button = el("button", { type: "button", title }, label);
      button.addEventListener("click", () => {
        this.order = key;
        this.#load();
      });
      return button;
    };
    this.heads = {
      self: header("self", "itself", "Time or hits in the function itself"),
      total: header("total", "in all", "With everything that it calls"),
      name: header("name", "function", "By name"),
    };
    this.sheet = el("div", { class: "sheet" });
    this.list = el("div", { class: "list", tabindex: 0 }, this.sheet);
    this.list.addEventListener("scroll", () => this.draw(), { passive: true });
    this.list.addEventListener("click", (event) => {
      const row = event.target.closest(".fn");
      if (row) this.flame.centreOn(this.shown[row.index].fn);
    });
    $("functions").append(el("div", { class: "heads" }, Object.values(this.heads)), this.list);
  }

  /** Fills the choices of event and of whose paths. */
  #choices() {
    const { R, flame } = this;
    $("event").replaceChildren(...R.events.map((event, i) => el("option", { value: i }, event.name)));
    $("event").value = String(flame.event);
    $("event").addEventListener("change", (event) => {
      flame.event = Number(event.target.value);
      this.#fillOf();
      flame.load();
    });
    $("of").addEventListener("change", (event) => {
      flame.of = event.target.value;
      flame.load();
    });
    this.#fillOf();
  }

  /** By weight: every thread's name, and the heaviest processes. */
  #fillOf() {
    const { R, flame } = this;
    const { sample } = R;
    const [names, processes] = [new Map(), new Map()];
    const add = (map, key, weight) => map.set(key, (map.get(key) ?? 0) + weight);
    let whole = 0;
    for (let i = 0; i < sample.event.length; i++) {
      if (sample.event[i] !== flame.event) continue;
      whole += sample.weight[i];
      add(names, sample.comm[i], sample.weight[i]);
      if (sample.process[i] !== null) add(processes, sample.process[i], sample.weight[i]);
    }
    const options = (map, prefix, title) =>
      [...map].sort((a, b) => b[1] - a[1]).slice(0, 200)
        .map(([key, weight]) => el("option", { value: `${prefix}${key}` }, `${percent(weight, whole)}  ${cut(title(key), 80)}`));
    const asked = flame.of;
    $("of").replaceChildren(
      el("option", { value: "" }, "all of the host"),
      el("optgroup", { label: "By name" }, options(names, "n", (comm) => R.text(comm))),
      el("optgroup", { label: "By process" }, options(processes, "p", (p) => `${commOf(R, p)} ${R.process.pid[p]}  ${R.text(R.process.cmdline[p]) ?? ""}`)));
    this.#choose(asked);
  }

  #choose(of) {
    this.flame.of = of;
    $("of").value = of;
    if ($("of").value === of) return;
    const p = Number(of.slice(1));
    const title = of.startsWith("p") ? `${commOf(this.R, p)} ${this.R.process.pid[p]}` : this.R.text(p);
    $("of").append(el("option", { value: of }, title));
    $("of").value = of;
  }

  /** Shows the paths of a process, of an event that it has. */
  showProcess(p) {
    const { R, flame } = this;
    const rows = R.pathsOf.get(p) ?? [];
    if (!rows.some((i) => R.sample.event[i] === flame.event)) flame.event = R.sample.event[rows[0]];
    flame.of = `p${p}`;
    $("event").value = String(flame.event);
    this.#fillOf();
    flame.centre = -1;
    flame.load();
  }

  filter(isMatch) {
    this.isMatch = isMatch;
    this.#load();
  }

  #load() {
    const key = this.order;
    const nameOf = (row) => this.paths.name(row.fn);
    this.shown = (this.flame.list ?? []).filter((row) => !this.isMatch || this.isMatch(nameOf(row)));
    this.shown.sort((a, b) =>
      key === "name" ? (nameOf(a) < nameOf(b) ? -1 : 1) : b[key] - a[key] || b.total - a.total || (nameOf(a) < nameOf(b) ? -1 : 1));
    for (const [name, head] of Object.entries(this.heads)) head.setAttribute("aria-pressed", String(name === key));
    this.list.scrollTop = 0;
    this.#crumbs();
    this.draw();
  }

  #mark(fn) {
    const index = this.shown.findIndex((row) => row.fn === fn);
    if (index < 0) return;
    this.marked = fn;
    const y = index * LINE;
    if (y < this.list.scrollTop || y + LINE > this.list.scrollTop + this.list.clientHeight) this.list.scrollTop = y - LINE * 3;
    this.draw();
  }

  #draw() {
    const height = this.list.clientHeight;
    if (!height || !this.shown) return;
    this.sheet.style.height = `${this.shown.length * LINE}px`;
    const first = Math.floor(this.list.scrollTop / LINE);
    const rows = Math.min(this.shown.length - first, Math.ceil(height / LINE) + 1);
    while (this.pool.length < rows) {
      const row = el("div", { class: "fn" }, el("span"), el("span"), el("i"), el("code"));
      this.pool.push(row);
      this.sheet.append(row);
    }
    const whole = this.flame.tree.whole;
    this.pool.forEach((row, i) => {
      row.hidden = i >= rows;
      if (row.hidden) return;
      row.index = first + i;
      const { fn, self, total } = this.shown[row.index];
      const [own, all, dot, name] = row.children;
      own.textContent = percent(self, whole);
      all.textContent = percent(total, whole);
      dot.style.background = colours.frame(this.paths.kind(fn), "");
      name.textContent = this.paths.name(fn);
      row.style.transform = `translateY(${row.index * LINE}px)`;
      row.style.setProperty("--share", `${(100 * self) / (whole || 1)}%`);
      row.classList.toggle("on", fn === this.flame.centre || fn === this.marked);
    });
  }

  /** Says what is shown and leads back from it. */
  #crumbs() {
    const { flame, paths } = this;
    const parts = [el("span", { class: "dim" }, amount(flame.tree?.whole ?? 0, flame.unit))];
    const idle = this.R.events[flame.event]?.idle;
    if (idle && !flame.of) parts.push(el("span", { class: "dim" }, `${amount(idle, flame.unit)} idle not drawn`));
    const back = (label, action) => el("button", { type: "button", class: "crumb", title: "Back (Backspace)", onclick: action }, label, " ×");
    if (flame.centre >= 0) parts.push(back(`callers and callees of ${cut(paths.name(flame.centre), 60)}`, () => flame.centreOn(-1)));
    if (flame.zoomed >= 0) parts.push(back(`zoomed to ${cut(paths.name(flame.down.fn[flame.zoomed]), 40)}`, () => flame.zoomTo(-1)));
    $("crumbs").replaceChildren(...parts);
  }
}
