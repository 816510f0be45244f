// What is new, gone or changed since another recording: `whence diff`, drawn.

/** A table of the differences of one kind. */
function changesTable(list, rows) {
  const bar = (value, most) => {
    const line = el("i");
    line.style.width = `${most > 0 ? (100 * value) / most : 0}%`;
    return line;
  };
  const lines = rows.map((row) => {
    const [before, now] = row.values;
    const most = Math.max(before, now);
    return el("tr", null,
      el("td", { class: row.change === "gone" ? "dim" : null }, row.change), el("td", { class: "n" }, row.before), el("td", { class: "n" }, row.now),
      el("td", { class: "n" }, row.times), el("td", { class: "change-bars" }, bar(before, most), bar(now, most)), el("td", null, row.name));
  });
  const key = (of) => el("i", { class: `change-key ${of}` });
  const heads = ["", [key("before"), "Before"], [key("now"), "Now"], "Times", "", ""].map((title, i) => el("th", { class: i > 0 && i < 4 ? "n" : null }, title));
  return [
    el("h2", null, list.title[0].toUpperCase() + list.title.slice(1)),
    el("table", { class: "changes" }, el("thead", null, el("tr", null, heads)), el("tbody", null, lines)),
    list.left_out ? el("p", { class: "dim" }, `${count(list.left_out)} more; whence diff lists all`) : "",
  ];
}

/** All of them, those that match. */
function changesOf(R, isMatch = () => true) {
  const { name, notes, lists } = R.against;
  const shown = lists.map((list) => [list, list.rows.filter((row) => isMatch(row.name))]).filter(([, rows]) => rows.length);
  return {
    count: shown.reduce((n, [, rows]) => n + rows.length, 0),
    content: [
      el("p", null, "Since ", el("b", null, name)), ...notes.map((note) => el("p", { class: "dim" }, note)),
      ...shown.flatMap(([list, rows]) => changesTable(list, rows)),
      shown.length ? "" : el("p", { class: "notice" }, "no difference that is more than chance"),
    ],
  };
}

class Changes {
  constructor(R) {
    this.R = R;
    this.shown = 0;
    if (R.against) this.filter(null);
  }

  filter(isMatch) {
    const { count: shown, content } = changesOf(this.R, isMatch ?? undefined);
    this.shown = shown;
    $("changes").replaceChildren(...content);
  }
}
