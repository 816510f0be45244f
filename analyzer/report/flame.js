// Flame graphs: all paths from the top, or the callers of one function above it
// and what it calls below.

const FRAME = 18;

class Flame {
  constructor(R, paths) {
    this.R = R;
    this.paths = paths;
    this.canvas = $("flame");
    this.box = $("flame-box");
    this.event = Math.max(0, R.events.findIndex((event) => event.name === "cpu-clock"));
    /** Whose: "", a thread's name as "n7", or a process as "p12". */
    this.of = "";
    this.zoomed = -1;
    this.centre = -1;
    this.query = null;
    this.hits = [];
    this.draw = scheduled(() => this.#draw());
    resized(this.box, this.draw);
    this.box.addEventListener("scroll", this.draw, { passive: true });
    for (const event of ["theme", "tab"]) on(event, this.draw);
    this.#listen();
  }

  get unit() {
    return this.R.events[this.event]?.unit ?? "hits";
  }

  /** Merges anew what is asked for. */
  load() {
    const { sample } = this.R;
    const number = Number(this.of.slice(1));
    const passes = {
      "": () => true,
      n: (i) => sample.comm[i] === number,
      p: (i) => sample.process[i] === number,
    }[this.of.slice(0, 1)];
    this.tree = this.paths.merge(this.event, passes);
    this.list = this.paths.functions(this.tree);
    this.zoomed = -1;
    this.#centreAgain();
    emit("paths");
    this.draw();
  }

  /** Shows the callers of a function and what it calls; -1 shows all paths. */
  centreOn(fn) {
    this.centre = fn;
    this.zoomed = -1;
    this.#centreAgain();
    this.#sized();
    // The function itself is in the middle of the screen.
    this.box.scrollTop = this.up ? this.up.deepest * FRAME - this.box.clientHeight * 0.6 : 0;
    emit("paths");
    this.draw();
  }

  /** Makes room for all rows; gives those above the function in the middle. */
  #sized() {
    const above = this.up ? this.up.deepest - 1 : 0;
    $("flame-sheet").style.height = `${Math.max(1, (above + this.down.deepest) * FRAME + 8)}px`;
    return above;
  }

  #centreAgain() {
    if (this.centre >= 0 && !this.tree.fn.includes(this.centre)) this.centre = -1;
    this.up = this.centre >= 0 ? this.paths.callers(this.tree, this.centre) : null;
    this.down = this.centre >= 0 ? this.paths.callees(this.tree, this.centre) : this.tree;
  }

  zoomTo(node) {
    this.zoomed = node;
    emit("paths");
    this.draw();
  }

  search(isMatch) {
    this.query = isMatch;
    this.draw();
  }

  /** Weight of the paths through a match: none is counted twice. */
  matched() {
    if (!this.query) return 0;
    const tree = this.tree;
    const inside = new Uint8Array(tree.fn.length);
    let sum = 0;
    for (let node = 0; node < tree.fn.length; node++) {
      const isBelow = tree.parent[node] >= 0 && inside[tree.parent[node]];
      inside[node] = isBelow || this.query(this.paths.name(tree.fn[node])) ? 1 : 0;
      if (inside[node] && !isBelow) sum += tree.total[node];
    }
    return sum;
  }

  #draw() {
    const width = this.box.clientWidth;
    const height = this.box.clientHeight;
    if (!height || !this.down) return;
    const above = this.#sized();
    const context = prepared(this.canvas, width, height);
    context.font = MONO;
    this.hits = [];
    const top = 4 - this.box.scrollTop;
    if (this.up) this.#drawTree(context, this.up, -1, (depth) => top + (above - depth) * FRAME, width, height);
    this.#drawTree(context, this.down, this.zoomed, (depth) => top + (above + depth) * FRAME, width, height);
    if (!this.down.fn.length) {
      context.font = SANS;
      context.fillStyle = colours.dim;
      context.fillText(this.R.events.length ? "no call paths of this choice" : "no stacks were recorded; record with --sample or --stack", 12, 24);
    }
  }

  /** Draws what is wide enough to see, the zoomed node as wide as the whole. */
  #drawTree(context, tree, zoomed, yOf, width, height) {
    let base = tree.whole;
    let stack = [];
    const roots = (node, x) => {
      for (let at = node; at >= 0; at = tree.next[at]) {
        stack.push([at, x]);
        x += (tree.total[at] / base) * width;
      }
    };
    if (zoomed >= 0) {
      base = tree.total[zoomed];
      for (let at = tree.parent[zoomed]; at >= 0; at = tree.parent[at]) {
        this.#drawFrame(context, tree, at, 0, yOf(tree.depth[at]), width, height, true);
      }
      stack.push([zoomed, 0]);
    } else roots(tree.root, 0);
    while (stack.length) {
      const [node, x] = stack.pop();
      const w = (tree.total[node] / base) * width;
      if (w < 0.4) continue;
      this.#drawFrame(context, tree, node, x, yOf(tree.depth[node]), w, height, false);
      roots(tree.child[node], x);
    }
  }

  #drawFrame(context, tree, node, x, y, w, height, isAbove) {
    if (y > height || y < -FRAME) return;
    const fn = tree.fn[node];
    const name = this.paths.name(fn);
    const isMatch = this.query?.(name);
    context.globalAlpha = isAbove ? 0.45 : this.query && !isMatch ? 0.5 : 1;
    context.fillStyle = isMatch ? colours.match : colours.frame(this.paths.kind(fn), name);
    context.fillRect(x, y, Math.max(0.5, w - (w > 3 ? 1 : 0)), FRAME - 1);
    this.hits.push({ tree, node, x, y, w });
    if (w > 26) {
      context.fillStyle = isMatch && !colours.dark ? "#fff" : colours.ink;
      context.fillText(fitted(context, name, w - 8), x + 4, y + FRAME / 2);
    }
    context.globalAlpha = 1;
  }

  #at(event) {
    const box = this.canvas.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    return this.hits.findLast((hit) => x >= hit.x && x < hit.x + Math.max(1, hit.w) && y >= hit.y && y < hit.y + FRAME);
  }

  #listen() {
    this.canvas.addEventListener("pointermove", (event) => {
      const hit = this.#at(event);
      this.canvas.style.cursor = hit ? "pointer" : "default";
      if (!hit) return tip(event, null);
      const { tree, node } = hit;
      const kind = ["of a program", "of the kernel", "place without a name", ""][this.paths.kind(tree.fn[node])];
      tip(event, [
        cut(this.paths.name(tree.fn[node]), 300),
        `${amount(tree.total[node], this.unit)}, ${percent(tree.total[node], tree.whole)} of what is shown`,
        tree.self[node] && tree !== this.up ? `itself ${amount(tree.self[node], this.unit)}` : null,
        kind,
      ].filter(Boolean));
    });
    this.canvas.addEventListener("pointerleave", (event) => tip(event, null));
    this.canvas.addEventListener("click", (event) => {
      const hit = this.#at(event);
      if (!hit) return;
      const fn = hit.tree.fn[hit.node];
      if (event.shiftKey || hit.tree === this.up) this.centreOn(fn);
      else {
        this.zoomTo(hit.node);
        emit("function", fn);
      }
    });
    this.canvas.addEventListener("dblclick", (event) => {
      const hit = this.#at(event);
      if (hit) this.centreOn(hit.tree.fn[hit.node]);
    });
  }
}
