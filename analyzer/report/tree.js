// The tree of processes beside their lanes. Only the rows that are on the
// screen exist, so that ten thousand are as quick as ten.

class Tree {
  constructor(R, view, rows) {
    this.R = R;
    this.view = view;
    this.rows = rows;
    this.timeline = new Timeline(R, view, rows);
    /** What is selected: a process, or all of a group by its first. */
    this.selected = { p: -1, isGroup: false };
    this.pool = [];
    this.box = $("rows");
    this.draw = scheduled(() => this.#draw());
    resized(this.box, this.draw);
    this.box.addEventListener("scroll", this.draw, { passive: true });
    for (const event of ["rows", "view", "theme", "tab"]) on(event, this.draw);
    this.#listenToRows();
    this.#listenToLanes();
    this.#listenToSplitter();
  }

  get labelWidth() {
    return $("labels").offsetWidth;
  }

  #draw() {
    const list = this.rows.list;
    const height = this.box.clientHeight;
    if (!height) return;
    this.#size();
    $("stage").style.height = `${height}px`;
    const first = Math.floor(this.box.scrollTop / ROW);
    const top = first * ROW - this.box.scrollTop;
    const shown = Math.min(list.length - first, Math.ceil(height / ROW) + 1);
    this.#drawLabels(first, top, shown);
    const width = this.box.clientWidth - this.labelWidth;
    this.timeline.drawLanes($("lanes"), width, height, first, top, (row) => this.isSelected(row));
    this.timeline.drawAxis($("axis"), width, 26);
    $("nothing").hidden = list.length > 0;
  }

  /** Makes room for all rows. */
  #size() {
    $("sheet").style.height = `${Math.max(1, this.rows.list.length * ROW)}px`;
  }

  #drawLabels(first, top, shown) {
    const width = this.labelWidth;
    while (this.pool.length < shown) {
      const label = el("div", { class: "row", role: "treeitem" });
      label.parts = {
        twist: el("span", { class: "twist" }),
        dot: el("i"),
        name: el("b"),
        extra: el("span", { class: "extra" }),
        line: el("span", { class: "line" }),
      };
      label.append(...Object.values(label.parts));
      this.pool.push(label);
      $("labels").append(label);
    }
    this.pool.forEach((label, i) => {
      label.hidden = i >= shown;
      if (!label.hidden) this.#fill(label, first + i, top + i * ROW, width);
    });
  }

  #fill(label, index, y, width) {
    const row = this.rows.list[index];
    label.index = index;
    label.style.transform = `translateY(${y}px)`;
    // Deep down, what is left of the width belongs to the name.
    label.style.paddingLeft = `${6 + Math.min(row.depth * Math.min(13, width / 24), width / 2)}px`;
    const { twist, dot, name, extra, line } = label.parts;
    const folds = row.boot || row.members || row.hasChildren;
    twist.textContent = !folds || row.boot ? "" : row.open ? "▾" : "▸";
    label.setAttribute("aria-level", row.depth + 1);
    label.toggleAttribute("aria-expanded", false);
    if (folds) label.setAttribute("aria-expanded", String(!!row.open || !!row.boot));
    const isSelected = this.isSelected(row);
    label.setAttribute("aria-selected", String(isSelected));
    label.id = `row-${index}`;
    if (isSelected) this.box.setAttribute("aria-activedescendant", label.id);
    if (row.boot) {
      [name.textContent, extra.textContent, line.textContent] = [row.boot.host, "", row.boot.boot_id];
      dot.hidden = true;
      label.className = "row host";
      return;
    }
    const { process } = this.R;
    const comm = commOf(this.R, row.p);
    dot.hidden = false;
    dot.style.background = colours.program(comm).solid;
    name.textContent = comm;
    const failure = row.members ? null : failureOf(this.R, row.p);
    const isMatch = !this.rows.matches || (row.members ?? [row.p]).some((p) => this.rows.matches[p]);
    label.className = `row${failure ? " failed" : ""}${isMatch ? "" : " beside"}`;
    extra.textContent = row.members ? `×${count(row.members.length)}` : String(process.pid[row.p]);
    line.textContent = row.members ? this.#groupLine(row) : this.#line(row.p, comm);
  }

  #line(p, comm) {
    const more = this.R.process.left_out[p];
    const line = this.R.text(this.R.process.cmdline[p]);
    const said = line && line !== comm ? cut(line, 300) : "";
    return more ? `${said} (+${count(more)} children not shown)` : said;
  }

  #groupLine(row) {
    const { cmdline } = this.R.process;
    const first = cmdline[row.p];
    const isSame = row.members.every((p) => cmdline[p] === first);
    return isSame ? cut(this.R.text(first) ?? "", 300) : "different arguments";
  }

  select(p, isGroup = false, { reveals = true } = {}) {
    this.selected = { p, isGroup };
    if (reveals && p >= 0 && this.rows.indexOf(p) < 0) this.rows.reveal(p);
    this.draw();
    const row = this.rows.list[this.rows.indexOf(p)];
    emit("select", { p, members: isGroup ? row?.members : null });
    // Last: the details may have taken some of the room.
    this.showSelected();
  }

  showSelected() {
    const at = this.current;
    if (at >= 0) this.scrollTo(at);
  }

  scrollTo(index) {
    this.#size();
    const y = index * ROW;
    const height = this.box.clientHeight;
    if (y < this.box.scrollTop) this.box.scrollTop = y - 2 * ROW;
    else if (y + ROW > this.box.scrollTop + height) this.box.scrollTop = y + 3 * ROW - height;
  }

  /** Whether a row is what is selected, or the folded group that holds it. */
  isSelected(row) {
    const { p, isGroup } = this.selected;
    if (p < 0 || row.p < 0) return false;
    if (row.p === p && !!row.members === isGroup) return true;
    return !isGroup && !!row.members && !row.open && row.members.includes(p);
  }

  /** The row that keys act on. */
  get current() {
    return this.rows.list.findIndex((row) => this.isSelected(row));
  }

  move(by) {
    const list = this.rows.list;
    let at = Math.min(list.length - 1, Math.max(0, this.current + by));
    if (list[at]?.boot) at = Math.min(list.length - 1, at + 1);
    const row = list[at];
    if (!row || row.p < 0) return;
    this.select(row.p, !!row.members, { reveals: false });
  }

  /** Unfolds, or goes to the first child. */
  right() {
    const row = this.rows.list[this.current];
    if (!row) return this.move(1);
    if ((row.hasChildren || row.members) && !row.open) this.rows.toggle(row);
    else if (row.open) this.move(1);
  }

  /** Folds, or goes to the parent. */
  left() {
    const row = this.rows.list[this.current];
    if (!row) return;
    if (row.open) return this.rows.toggle(row);
    for (let at = this.current - 1; at >= 0; at--) {
      const above = this.rows.list[at];
      if (above.depth < row.depth && above.p >= 0) return this.select(above.p, !!above.members, { reveals: false });
    }
  }

  #listenToRows() {
    $("labels").addEventListener("click", (event) => {
      const label = event.target.closest(".row");
      const row = label && this.rows.list[label.index];
      if (!row || row.boot) return;
      if (event.target === label.parts.twist) this.rows.toggle(row);
      else this.select(row.p, !!row.members, { reveals: false });
    });
    $("labels").addEventListener("dblclick", (event) => {
      const label = event.target.closest(".row");
      const row = label && this.rows.list[label.index];
      if (row && event.target !== label.parts.twist && (row.members || row.hasChildren)) this.rows.toggle(row);
    });
  }

  #place(event) {
    const box = $("lanes").getBoundingClientRect();
    const x = event.clientX - box.left;
    const index = Math.floor((event.clientY - box.top + this.box.scrollTop) / ROW);
    const row = this.rows.list[index];
    return { x, row, p: this.timeline.at(row, x), share: x / box.width };
  }

  #listenToLanes() {
    const lanes = $("lanes");
    let drag = null;
    lanes.addEventListener("pointerdown", (event) => {
      drag = { x: event.clientX, from: this.view.from, moved: false };
      lanes.setPointerCapture(event.pointerId);
    });
    lanes.addEventListener("pointermove", (event) => {
      if (drag) {
        const by = event.clientX - drag.x;
        drag.moved ||= Math.abs(by) > 3;
        if (!drag.moved) return;
        const from = drag.from - (by / this.timeline.width) * this.view.span;
        return this.view.set(from, from + this.view.span);
      }
      const { p, x } = this.#place(event);
      const at = this.timeline.time(x);
      const lost = this.R.losses.filter((l) => l.t0_us <= at && l.t1_us >= at).map(lossLine);
      tip(event, p >= 0 || lost.length ? [...(p >= 0 ? processLines(this.R, p) : []), ...lost] : null);
    });
    lanes.addEventListener("pointerup", (event) => {
      const wasClick = drag && !drag.moved;
      drag = null;
      if (!wasClick) return;
      const { row, p } = this.#place(event);
      if (row?.p >= 0) this.select(p >= 0 ? p : row.p, p < 0 && !!row.members, { reveals: false });
    });
    lanes.addEventListener("pointerleave", (event) => tip(event, null));
    lanes.addEventListener("dblclick", (event) => {
      const { p } = this.#place(event);
      if (p >= 0) this.zoomTo(p);
    });
    const wheel = (event) => {
      if (event.ctrlKey || event.metaKey) {
        event.preventDefault();
        this.view.zoom(Math.exp(Math.sign(event.deltaY) * Math.min(Math.abs(event.deltaY), 60) * 0.006), this.#place(event).share);
      } else if (Math.abs(event.deltaX) > Math.abs(event.deltaY) || event.shiftKey) {
        event.preventDefault();
        this.view.pan((event.deltaX || event.deltaY) / this.timeline.width);
      }
    };
    lanes.addEventListener("wheel", wheel, { passive: false });
    $("axis").addEventListener("wheel", (event) => {
      event.preventDefault();
      this.view.zoom(Math.exp(event.deltaY * 0.003), this.#place(event).share);
    }, { passive: false });
  }

  zoomTo(p) {
    const { start, end } = this.R.process;
    this.view.fit(Math.max(0, start[p]), Math.min(this.R.length_us, end[p]));
  }

  #listenToSplitter() {
    const splitter = $("splitter");
    splitter.addEventListener("pointerdown", (event) => {
      splitter.setPointerCapture(event.pointerId);
      const move = (event) => {
        const left = event.clientX - $("chart").getBoundingClientRect().left;
        const width = Math.min(Math.max(140, left), $("chart").clientWidth - 120);
        $("chart").style.setProperty("--labels", `${width}px`);
        this.draw();
      };
      splitter.addEventListener("pointermove", move);
      splitter.addEventListener("pointerup", () => splitter.removeEventListener("pointermove", move), { once: true });
    });
  }
}
