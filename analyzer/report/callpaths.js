// Call paths merged from their root, or around one function. A merged tree is
// arrays by node: fn, depth, self, total, first child and next sibling, the
// heaviest first. Parents come before their children.

/** A tree in the making. */
class Merged {
  constructor() {
    this.fn = [];
    this.parent = [];
    this.self = [];
    this.total = [];
    this.edges = new Map();
  }

  /** The node of a function below another; -1 is above the roots. */
  step(parent, fn) {
    const edge = (parent + 1) * 0x400000 + fn;
    let node = this.edges.get(edge);
    if (node === undefined) {
      node = this.fn.length;
      this.edges.set(edge, node);
      this.fn.push(fn);
      this.parent.push(parent);
      this.self.push(0);
      this.total.push(0);
    }
    return node;
  }

  /** Sums up, and links children in order of their weight. */
  finish(rank) {
    const n = this.fn.length;
    this.edges = null;
    this.depth = new Int32Array(n);
    for (let node = n - 1; node >= 0; node--) {
      this.total[node] += this.self[node];
      if (this.parent[node] >= 0) this.total[this.parent[node]] += this.total[node];
    }
    for (let node = 0; node < n; node++) {
      if (this.parent[node] >= 0) this.depth[node] = this.depth[this.parent[node]] + 1;
    }
    const order = Array.from({ length: n }, (_, i) => i);
    order.sort((a, b) => this.total[a] - this.total[b] || rank[this.fn[b]] - rank[this.fn[a]]);
    this.child = new Int32Array(n).fill(-1);
    this.next = new Int32Array(n).fill(-1);
    this.root = -1;
    for (const node of order) {
      const parent = this.parent[node];
      if (parent < 0) [this.next[node], this.root] = [this.root, node];
      else [this.next[node], this.child[parent]] = [this.child[parent], node];
    }
    this.whole = 0;
    this.deepest = 0;
    for (let at = this.root; at >= 0; at = this.next[at]) this.whole += this.total[at];
    for (let node = 0; node < n; node++) this.deepest = Math.max(this.deepest, this.depth[node] + 1);
    return this;
  }
}

class CallPaths {
  constructor(R) {
    this.R = R;
    // Names of threads and contexts are roots: they become functions of a kind.
    this.names = R.function.name.slice();
    this.kinds = R.function.kind.slice();
    this.threads = new Map();
    R.pathsOf = new Map();
    R.sample.process.forEach((p, i) => {
      if (p === null) return;
      if (R.pathsOf.has(p)) R.pathsOf.get(p).push(i);
      else R.pathsOf.set(p, [i]);
    });
  }

  name(fn) {
    return this.R.text(this.names[fn]);
  }

  kind(fn) {
    return this.kinds[fn];
  }

  #thread(comm) {
    let fn = this.threads.get(comm);
    if (fn === undefined) {
      fn = this.names.length;
      this.names.push(comm);
      this.kinds.push(3);
      this.threads.set(comm, fn);
    }
    return fn;
  }

  /** Places of the functions in order of their names. */
  #ranks() {
    const n = this.names.length;
    if (this.rank?.length === n) return this.rank;
    const text = this.names.map((number) => this.R.text(number));
    const order = Array.from({ length: n }, (_, fn) => fn);
    order.sort((a, b) => (text[a] < text[b] ? -1 : text[a] > text[b] ? 1 : a - b));
    this.rank = new Int32Array(n);
    order.forEach((fn, i) => (this.rank[fn] = i));
    return this.rank;
  }

  /** All paths of an event, of those rows that pass. */
  merge(event, passes) {
    const { sample, path } = this.R;
    const tree = new Merged();
    const known = new Map();
    const trail = [];
    for (let i = 0; i < sample.event.length; i++) {
      if (sample.event[i] !== event || !passes(i)) continue;
      const root = tree.step(-1, this.#thread(sample.comm[i]));
      // Each place of a path is looked up once for each name.
      let at = sample.path[i] ?? -1;
      let node = root;
      trail.length = 0;
      for (; at >= 0; at = path.parent[at]) {
        const found = known.get(root * 0x400000 + at);
        if (found !== undefined) {
          node = found;
          break;
        }
        trail.push(at);
      }
      for (let k = trail.length - 1; k >= 0; k--) {
        node = tree.step(node, path.fn[trail[k]]);
        known.set(root * 0x400000 + trail[k], node);
      }
      tree.self[node] += sample.weight[i];
    }
    return tree.finish(this.#ranks());
  }

  /** Functions with their own and total weight; one that recurses counts once. */
  functions(tree) {
    const sums = new Map();
    const open = new Map();
    const stack = [];
    const enter = (node) => {
      const fn = tree.fn[node];
      let sum = sums.get(fn);
      if (!sum) sums.set(fn, (sum = { fn, self: 0, total: 0 }));
      sum.self += tree.self[node];
      const depth = open.get(fn) ?? 0;
      if (!depth) sum.total += tree.total[node];
      open.set(fn, depth + 1);
    };
    for (let node = tree.root; node >= 0 || stack.length; ) {
      if (node >= 0) {
        enter(node);
        stack.push(node);
        node = tree.child[node];
      } else {
        const done = stack.pop();
        open.set(tree.fn[done], open.get(tree.fn[done]) - 1);
        node = tree.next[done];
      }
    }
    return [...sums.values()].filter((sum) => this.kind(sum.fn) !== 3);
  }

  /** Where a function is reached: the nodes that have it, none below another. */
  #places(tree, fn) {
    const inside = new Uint8Array(tree.fn.length);
    const places = [];
    for (let node = 0; node < tree.fn.length; node++) {
      const isBelow = tree.parent[node] >= 0 && inside[tree.parent[node]];
      inside[node] = isBelow || tree.fn[node] === fn ? 1 : 0;
      if (inside[node] && !isBelow) places.push(node);
    }
    return places;
  }

  /** The paths up from a function, merged from it. */
  callers(tree, fn) {
    const merged = new Merged();
    for (const place of this.#places(tree, fn)) {
      let node = -1;
      for (let at = place; at >= 0; at = tree.parent[at]) node = merged.step(node, tree.fn[at]);
      merged.self[node] += tree.total[place];
    }
    return merged.finish(this.#ranks());
  }

  /** The paths down from it. */
  callees(tree, fn) {
    const merged = new Merged();
    for (const place of this.#places(tree, fn)) {
      const stack = [[place, -1]];
      while (stack.length) {
        const [at, parent] = stack.pop();
        const node = merged.step(parent, tree.fn[at]);
        merged.self[node] += tree.self[at];
        for (let child = tree.child[at]; child >= 0; child = tree.next[child]) stack.push([child, node]);
      }
    }
    return merged.finish(this.#ranks());
  }
}
