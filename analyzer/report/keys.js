// Keys, and the page that explains them.

const KEYS = [
  ["Everywhere", [
    ["/", "search; Esc ends it"], ["Enter, Shift Enter", "next and previous match"],
    ["1 2 3 4 5", "processes, programs, call paths, about, changes if there are any"], ["t", "light, dark, as the system"], ["?", "this page"], ["Esc", "one step back"],
  ]],
  ["Processes", [
    ["↑ ↓ j k", "select"], ["← →", "fold and unfold, to the parent and the first child"],
    ["Shift ← Shift →", "fold all, unfold all"], ["w s + −", "zoom"], ["a d", "earlier, later"],
    ["f", "zoom to the selected process"], ["o", "only its tree, or all again"], ["0", "all of the time"], ["p", "its call paths"], ["q", "quiet processes too"],
  ]],
  ["Call paths", [["Backspace", "out of the zoom, or out of callers and callees"], ["r", "all paths again"]]],
  ["Mouse", [
    ["drag, wheel sideways", "move in time"], ["Ctrl wheel", "zoom at the pointer; on the time axis without Ctrl"],
    ["drag in the overview", "choose a time; double click for all of it"], ["double click a bar", "zoom to it"],
    ["click a frame", "zoom in"], ["double or Shift click a frame", "its callers and what it calls"],
  ]],
];

function showKeys() {
  const dialog = $("keys");
  if (dialog.open) return dialog.close();
  const parts = KEYS.map(([title, rows]) =>
    el("section", null, el("h3", null, title), el("dl", null, rows.map(([keys, what]) => [
      el("dt", null, keys), el("dd", null, what)]))));
  const close = el("form", { method: "dialog" }, el("button", { type: "submit" }, "Close"));
  dialog.replaceChildren(el("header", null, el("h2", null, "Keys and mouse"), close), el("div", { class: "columns" }, parts));
  dialog.showModal();
}

function listenToKeys(page) {
  const everywhere = {
    "/": () => page.search.focus(), "?": showKeys, t: () => page.nextTheme(), Escape: () => page.back(),
    1: () => page.show("processes"), 2: () => page.show("programs"), 3: () => page.show("paths"), 4: () => page.show("about"), 5: () => page.R.against && page.show("changes"),
  };
  const { tree, view } = page;
  const processes = {
    ArrowDown: () => tree.move(1), ArrowUp: () => tree.move(-1), j: () => tree.move(1), k: () => tree.move(-1),
    PageDown: () => tree.move(20), PageUp: () => tree.move(-20), Home: () => tree.move(-1e9), End: () => tree.move(1e9),
    ArrowRight: () => tree.right(), ArrowLeft: () => tree.left(), w: () => view.zoom(0.7), s: () => view.zoom(1 / 0.7),
    "+": () => view.zoom(0.7), "=": () => view.zoom(0.7), "-": () => view.zoom(1 / 0.7), a: () => view.pan(-0.2), d: () => view.pan(0.2),
    0: () => view.all(), f: () => page.selected >= 0 && tree.zoomTo(page.selected), o: () => page.toggleFocus(),
    p: () => page.selected >= 0 && page.showPaths(page.selected), q: () => page.toggleQuiet(),
  };
  const shifted = { ArrowRight: () => page.rows.unfoldAll(), ArrowLeft: () => page.rows.foldAll() };
  const paths = { Backspace: () => page.outOfPaths(), r: () => page.allPaths() };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || $("keys").open) return;
    if (event.target.closest("input, select, textarea")) return;
    const ofTab = page.tab === "processes" ? { ...processes, ...(event.shiftKey ? shifted : {}) } : page.tab === "paths" ? paths : {};
    const action = ofTab[event.key] ?? everywhere[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });
}
