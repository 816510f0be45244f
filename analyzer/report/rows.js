// Which rows the tree has: what is folded, filtered, quiet, or the like of its
// siblings. Knows nothing of how a row looks.

/** Alike siblings that make one row. */
const GROUP = 3;

class Rows {
  constructor(R) {
    this.R = R;
    this.folded = new Set();
    this.opened = new Set();
    this.hidesQuiet = true;
    this.focus = -1;
    this.matches = null;
    this.list = [];
    this.#findBusy();
    for (const p of R.process.roots.flatMap((root) => [root, ...R.process.children[root]])) {
      const isKernel = R.process.pid[p] === 2 && commOf(R, p) === "kthreadd";
      if (isKernel) this.folded.add(p);
    }
    this.build();
  }

  /** Busy is what began, ended, executed or ran in the recording, and what is above. */
  #findBusy() {
    const { process, exec, cpuSum, length_us } = this.R;
    this.busy = new Uint8Array(process.n);
    for (let p = process.n - 1; p >= 0; p--) {
      const lived = process.start[p] > 0 || process.end[p] <= length_us;
      const ran = exec.first[p] < exec.first[p + 1] || cpuSum[p] > 0;
      if (lived || ran) this.busy[p] = 1;
      if (this.busy[p] && process.parent[p] >= 0) this.busy[process.parent[p]] = 1;
    }
    this.quiet = process.n - this.busy.reduce((a, b) => a + b, 0);
    // Where all is quiet there is nothing else to show.
    if (this.quiet === process.n) this.hidesQuiet = false;
  }

  /** Keeps what matches, its ancestors and its descendants; null keeps all. */
  filter(isMatch) {
    const { process } = this.R;
    if (!isMatch) {
      this.matches = null;
      this.kept = null;
      return this.build();
    }
    this.matches = new Uint8Array(process.n);
    this.kept = new Uint8Array(process.n);
    for (let p = 0; p < process.n; p++) {
      if (!isMatch(p)) continue;
      this.matches[p] = 1;
      this.kept.fill(1, p, process.last[p] + 1);
      for (const above of ancestors(this.R, p)) {
        if (this.kept[above] === 1) break;
        this.kept[above] = 1;
      }
    }
    return this.build();
  }

  #isShown(p) {
    if (this.kept) return this.kept[p] === 1;
    return !this.hidesQuiet || this.busy[p] === 1;
  }

  /** Makes the list of rows: {p, members?, depth, open?}. */
  build() {
    const { process, boots } = this.R;
    this.list = [];
    const stack = [];
    const push = (all, depth) => {
      for (const row of this.#grouped(all, depth).reverse()) stack.push(row);
    };
    if (this.focus >= 0) push([this.focus], 0);
    else if (boots.length > 1) {
      boots.forEach((boot, i) => {
        const end = boots[i + 1]?.first ?? process.n;
        stack.unshift({ boot, depth: 0, p: -1, roots: process.roots.filter((p) => p >= boot.first && p < end) });
      });
    } else push(process.roots, 0);
    while (stack.length) {
      const row = stack.pop();
      this.list.push(row);
      if (row.boot) push(row.roots, 1);
      else if (row.members) {
        if (!row.open) continue;
        for (const p of row.members.slice().reverse()) stack.push({ p, depth: row.depth + 1 });
      } else {
        const below = process.children[row.p];
        row.hasChildren = below.some((p) => this.#isShown(p));
        row.open = row.hasChildren && !this.folded.has(row.p);
        if (row.open) push(below, row.depth + 1);
      }
    }
    this.byProcess = new Map();
    this.list.forEach((row, i) => {
      if (row.p >= 0 && !row.members) this.byProcess.set(row.p, i);
    });
    emit("rows");
    return this;
  }

  /** Siblings as rows: three or more of one name without children are one. */
  #grouped(all, depth) {
    const { process } = this.R;
    const shown = all.filter((p) => this.#isShown(p));
    const alike = new Map();
    const isLeaf = new Set();
    for (const p of shown) {
      if (process.children[p].some((child) => this.#isShown(child))) continue;
      isLeaf.add(p);
      const name = process.comm[p];
      if (alike.has(name)) alike.get(name).push(p);
      else alike.set(name, [p]);
    }
    const rows = [];
    for (const p of shown) {
      const members = isLeaf.has(p) ? alike.get(process.comm[p]) : [];
      if (members.length < GROUP) rows.push({ p, depth });
      else if (members[0] === p) rows.push({ p, members, depth, open: this.opened.has(p) });
    }
    return rows;
  }

  toggle(row) {
    const set = row.members ? this.opened : this.folded;
    if (set.has(row.p)) set.delete(row.p);
    else set.add(row.p);
    this.build();
  }

  foldAll() {
    const { process } = this.R;
    this.opened.clear();
    for (let p = 0; p < process.n; p++) {
      if (process.children[p].length && process.parent[p] >= 0) this.folded.add(p);
    }
    this.build();
  }

  unfoldAll() {
    this.folded.clear();
    this.build();
  }

  focusOn(p) {
    this.focus = p;
    this.build();
  }

  /** The row of a process, or of the group that holds it; unfolds what hides it. */
  reveal(p) {
    const { process } = this.R;
    const isBelowFocus = this.focus < 0 || (p >= this.focus && p <= process.last[this.focus]);
    if (!isBelowFocus) this.focus = -1;
    if (!this.#isShown(p)) {
      if (this.kept) emit("clear-search");
      if (!this.#isShown(p)) this.hidesQuiet = false;
    }
    for (const above of ancestors(this.R, p)) this.folded.delete(above);
    this.build();
    return this.indexOf(p);
  }

  indexOf(p) {
    return this.byProcess.get(p) ?? this.list.findIndex((row) => row.members?.includes(p));
  }
}
