// On paper there is no folding and no zoom: what is on the screen is written
// down as text when the page is printed.

const PRINTED_ROWS = 600;
const PRINTED_FUNCTIONS = 60;

function preparePaper(R, rows, flame, paths) {
  const list = rows.list.slice(0, PRINTED_ROWS);
  const lines = list.map((row) => {
    if (row.boot) return el("tr", null, el("td", { colspan: 4 }, row.boot.host));
    const p = row.p;
    const isOver = R.process.end[p] <= R.length_us;
    const name = row.members ? `${commOf(R, p)} ×${count(row.members.length)}` : `${R.process.pid[p]} ${commOf(R, p)}`;
    const cell = el("td", null, el("b", null, name), " ", R.text(R.process.cmdline[p]) ?? "");
    cell.style.paddingLeft = `${Math.min(row.depth, 24) * 8}px`;
    return el("tr", null, cell, el("td", null, clockNear(R.begin_us + R.process.start[p], R.begin_us, 1e3)),
      el("td", null, row.members ? "" : isOver ? duration(R.process.end[p] - R.process.start[p]) : "running"),
      el("td", null, row.members ? "" : (failureOf(R, p) ?? "")));
  });
  const more = rows.list.length - list.length;
  const functions = (flame.list ?? []).slice().sort((a, b) => b.self - a.self).slice(0, PRINTED_FUNCTIONS).map((row) =>
    el("tr", null, el("td", null, percent(row.self, flame.tree.whole)), el("td", null, percent(row.total, flame.tree.whole)), el("td", null, paths.name(row.fn))));
  $("paper").replaceChildren(
    el("h2", null, "Processes, as they were folded and searched on the screen"),
    el("table", null, el("thead", null, el("tr", null, ["Process", "Began (UTC)", "Ran for", "End"].map((t) => el("th", null, t)))), el("tbody", null, lines)),
    more > 0 ? el("p", null, `${count(more)} more rows are not printed`) : "",
    functions.length ? el("h2", null, `Functions by ${R.events[flame.event].name}`) : "",
    functions.length ? el("table", null, el("thead", null, el("tr", null, ["Itself", "In all", "Function"].map((t) => el("th", null, t)))), el("tbody", null, functions)) : "",
    ...(R.against ? changesOf(R).content : []));
}
