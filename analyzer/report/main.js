// Puts the parts together: tabs, search, theme.

const TABS = [["processes", "Processes"], ["programs", "Programs"], ["paths", "Call paths"], ["about", "About"], ["changes", "Changes"]];

class Page {
  constructor(R) {
    this.R = R;
    this.tab = "processes";
    this.selected = -1;
    this.tabs = TABS.filter(([id]) => id !== "changes" || R.against);
    this.queries = { processes: "", programs: "", paths: "", changes: "" };
    this.search = $("search");
    colours.read();
    this.view = new View(R.length_us);
    this.rows = new Rows(R);
    this.tree = new Tree(R, this.view, this.rows);
    this.overview = new Overview(R, this.view);
    this.paths = new CallPaths(R);
    this.details = new Details(R, this);
    this.programs = new Programs(R, this);
    this.changes = new Changes(R);
    this.flame = new Flame(R, this.paths);
    this.functions = new Functions(R, this.paths, this.flame);
    showHead(R);
    showAbout(R);
    this.#makeTabs();
    this.#listen();
    listenToKeys(this);
    this.#sayQuiet();
    this.show("processes");
  }

  #makeTabs() {
    $("tabs").replaceChildren(...this.tabs.map(([id, title], i) =>
      el("button", { type: "button", role: "tab", id: `tab-${id}`, "aria-controls": id, title: `${title} (${i + 1})`, onclick: () => this.show(id) }, title)));
  }

  show(tab) {
    this.tab = tab;
    for (const [id] of this.tabs) {
      $(id).hidden = id !== tab;
      $(`tab-${id}`).setAttribute("aria-selected", String(id === tab));
    }
    if (tab === "paths" && !this.flame.tree) this.flame.load();
    $("find").hidden = tab === "about";
    this.search.placeholder = { processes: "Find processes", programs: "Find programs", paths: "Find functions", changes: "Find changes" }[tab] ?? "";
    this.search.value = this.queries[tab] ?? "";
    this.#sayMatches();
    document.body.dataset.tab = tab;
    emit("tab", tab);
  }

  #listen() {
    this.search.addEventListener("input", () => this.find(this.search.value));
    this.search.addEventListener("keydown", (event) => {
      if (event.key === "Enter") this.#nextMatch(event.shiftKey ? -1 : 1);
      if (event.key === "Escape") {
        this.find("");
        this.search.blur();
      }
    });
    on("clear-search", () => this.find("", "processes"));
    on("select", ({ p }) => (this.selected = p));
    on("rows", () => this.#sayQuiet());
    on("show-time", ([from, to]) => {
      this.show("processes");
      this.view.fit(from, to);
    });
    $("theme").addEventListener("click", () => this.nextTheme());
    $("help").addEventListener("click", showKeys);
    $("fold-all").addEventListener("click", () => this.rows.foldAll());
    $("unfold-all").addEventListener("click", () => this.rows.unfoldAll());
    $("quiet").addEventListener("click", () => this.toggleQuiet());
    $("unfocus").addEventListener("click", () => this.toggleFocus());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#themed());
    addEventListener("beforeprint", () => {
      if (!this.flame.tree && this.R.events.length) this.flame.load();
      preparePaper(this.R, this.rows, this.flame, this.paths);
    });
  }

  // Search: plain text in any case, or /a regular expression/.

  find(query, tab = this.tab) {
    this.queries[tab] = query;
    if (tab === this.tab && this.search.value !== query) this.search.value = query;
    const test = tester(query);
    const { process } = this.R;
    if (tab === "processes") {
      this.rows.filter(test && ((p) => test(commOf(this.R, p)) || test(titleOf(this.R, p)) || String(process.pid[p]) === query.trim()));
      // What was found stays in sight among all the others.
      if (!test) this.tree.showSelected();
    } else if (tab === "programs") this.programs.filter(test);
    else if (tab === "changes") this.changes.filter(test);
    else if (tab === "paths") {
      this.flame.search(test);
      this.functions.filter(test);
    }
    this.#sayMatches();
  }

  #sayMatches() {
    const query = this.queries[this.tab];
    let said = "";
    if (query && this.tab === "processes") said = counted(this.rows.matches?.reduce((a, b) => a + b, 0) ?? 0, "match", "matches");
    if (query && this.tab === "programs") said = counted(this.programs.shown.length, "match", "matches");
    if (query && this.tab === "changes") said = counted(this.changes.shown, "match", "matches");
    if (query && this.tab === "paths") said = percent(this.flame.matched(), this.flame.tree.whole);
    $("matches").textContent = said;
    $("nothing").textContent = query ? `no process matches ${query}` : "nothing to show";
  }

  #nextMatch(by) {
    if (this.tab !== "processes" || !this.rows.matches) return;
    const { list, matches } = this.rows;
    const isMatch = (row) => row.p >= 0 && (row.members ?? [row.p]).some((p) => matches[p]);
    const from = this.tree.current;
    for (let i = 1; i <= list.length; i++) {
      const at = (from + by * i + 2 * list.length) % list.length;
      if (!isMatch(list[at])) continue;
      return this.tree.select(list[at].p, !!list[at].members, { reveals: false });
    }
  }

  // What other parts ask for.

  select(p, isGroup = false) {
    this.show("processes");
    this.tree.select(p, isGroup);
  }

  close() {
    this.tree.select(-1);
    $("rows").focus({ preventScroll: true });
  }

  zoomTo(p) {
    this.select(p);
    this.tree.zoomTo(p);
  }

  focusOn(p) {
    this.show("processes");
    this.rows.focusOn(p);
    this.#sayFocus();
    this.tree.select(p);
  }

  toggleFocus() {
    if (this.rows.focus >= 0) this.rows.focusOn(-1);
    else if (this.selected >= 0) this.rows.focusOn(this.selected);
    this.#sayFocus();
    if (this.selected >= 0) this.tree.select(this.selected);
  }

  toggleQuiet() {
    this.rows.hidesQuiet = !this.rows.hidesQuiet;
    this.rows.build();
  }

  showPaths(p) {
    this.functions.showProcess(p);
    this.show("paths");
  }

  /** The runs of a program: as a group if they are one, else the first. */
  showRuns(row) {
    this.show("processes");
    this.find("", "processes");
    this.tree.select(row.first);
    const group = this.rows.list[this.rows.indexOf(row.first)];
    if (group?.members) this.tree.select(group.p, true, { reveals: false });
  }

  outOfPaths() {
    if (this.flame.zoomed >= 0) this.flame.zoomTo(-1);
    else if (this.flame.centre >= 0) this.flame.centreOn(-1);
  }

  allPaths() {
    this.flame.centreOn(-1);
  }

  back() {
    tip({}, null);
    if (this.tab === "paths") return this.outOfPaths();
    if (this.queries[this.tab]) return this.find("");
    if (!$("details").hidden) return this.close();
    if (this.rows.focus >= 0) this.toggleFocus();
  }

  nextTheme() {
    const root = document.documentElement;
    const order = [undefined, "dark", "light"];
    const next = order[(order.indexOf(root.dataset.theme) + 1) % 3];
    if (next) root.dataset.theme = next;
    else delete root.dataset.theme;
    this.#themed();
  }

  #themed() {
    $("theme").textContent = { dark: "Dark", light: "Light" }[document.documentElement.dataset.theme] ?? "Theme";
    colours.read();
    emit("theme");
    this.details.box.hidden || emit("select", { p: this.selected, members: null });
  }

  #sayQuiet() {
    const button = $("quiet");
    button.hidden = !this.rows.quiet || this.rows.quiet === this.R.process.n;
    button.setAttribute("aria-pressed", String(this.rows.hidesQuiet));
    button.textContent = this.rows.hidesQuiet ? `${count(this.rows.quiet)} quiet hidden` : "hide quiet";
    this.#sayFocus();
  }

  #sayFocus() {
    const button = $("unfocus");
    button.hidden = this.rows.focus < 0;
    if (!button.hidden) button.textContent = `only below ${commOf(this.R, this.rows.focus)} ×`;
  }
}

/** A test for a query; null if there is none. */
function tester(query) {
  const text = query.trim();
  if (!text) return null;
  const pattern = /^\/(.+)\/$/.exec(text)?.[1];
  if (pattern) {
    try {
      const regex = new RegExp(pattern, "i");
      return (name) => regex.test(name);
    } catch {
      // Not finished yet, or no regular expression: it is text.
    }
  }
  const lower = text.toLowerCase();
  return (name) => name.toLowerCase().includes(lower);
}

async function start() {
  if (typeof DecompressionStream === "undefined") {
    throw new Error("this browser is too old to inflate data; any browser of 2023 or later can");
  }
  new Page(await decode($("data")));
  document.body.dataset.ready = "true";
}

start().catch((error) => {
  document.body.prepend(el("p", { class: "notice" }, `the report cannot be shown: ${error.message}`));
  throw error;
});
