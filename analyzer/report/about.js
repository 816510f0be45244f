// What was recorded, and what is missing: the header, and the page about it.

function showHead(R) {
  const hosts = [...new Set(R.boots.map((boot) => boot.host))];
  const first = R.recordings[0];
  $("host").textContent = hosts.join(", ");
  document.title = `${hosts.join(", ")} · whence report`;
  const end = R.begin_us + R.length_us;
  const machine = first && R.recordings.length === 1
    ? [R.text(first.os), `Linux ${R.text(first.kernel)}`, counted(first.cpus, "CPU", "CPUs")]
    : [counted(R.recordings.length, "recording", "recordings")];
  const when = `${clockDate(R.begin_us)} ${clockTime(R.begin_us)} to ${clockNear(end, R.begin_us)} UTC`;
  $("what").replaceChildren(
    el("b", null, when), el("span", null, duration(R.length_us)), ...machine.map((text) => el("span", null, text)));
  const failed = R.process.exit_code.reduce((n, _, p) => n + (failureOf(R, p) ? 1 : 0), 0);
  const counts = [
    [R.counts.process, "process", "processes"], [R.counts.exec, "exec", "execs"],
    [failed, "failed", "failed"], [R.counts.sample, "stack", "stacks"],
  ];
  $("counts").replaceChildren(...counts.map(([n, one, many]) => el("div", null, el("b", null, count(n)), el("span", null, n === 1 ? one : many))));
  showSaid(R);
  showLoss(R);
}

/** What whoever made a bundle had to say of it. */
function showSaid(R) {
  const lines = R.recordings.flatMap((r) => r.said).map(R.text);
  $("said").hidden = !lines.length;
  $("said").replaceChildren(...lines.map((line) => el("div", null, line)));
}

function showLoss(R) {
  const box = $("loss");
  box.className = R.complete ? "complete" : "lost";
  const lines = [...R.completeness];
  const rest = lines.splice(3);
  box.replaceChildren(
    ...lines.map((line) => el("div", null, line)),
    ...(rest.length ? [el("div", null, `and ${count(rest.length)} more: see About`)] : []),
    ...R.left_out.map((line) => el("div", { class: "left-out" }, `not in this page: ${line}`)));
}

function showAbout(R) {
  const facts = (rows) => el("dl", null, rows.filter(([, v]) => v).map(([name, value]) => [el("dt", null, name), el("dd", null, value)]));
  const recordings = R.recordings.map((r) => {
    const [from, to] = r.range_us;
    return el("section", null, el("h2", null, R.text(r.name)), facts([
      ["host", R.text(r.host)], ["system", `${R.text(r.os)}, ${R.text(r.machine)}, ${counted(r.cpus, "CPU", "CPUs")}`],
      ["kernel", R.text(r.kernel)], ["recorded", `${clockDate(from)} ${clockTime(from)} to ${clockNear(to, from)} UTC, ${duration(to - from)}`],
      ["boot", R.text(r.boot_id)], ["recorder", `whence ${R.text(r.recorder_version)}`],
    ]), el("ul", null, r.notes.map((note) => el("li", null, R.text(note)))));
  });
  const lost = [el("h2", null, "What is missing"), ...R.completeness.map((line) => el("p", { class: R.complete ? "" : "failed" }, line)),
    ...R.left_out.map((line) => el("p", null, `not in this page: ${line}`))];
  if (R.losses.length) {
    const rows = R.losses.slice(0, 500).map((loss) => {
      const row = el("tr", { tabindex: 0, title: "Show this time" }, el("td", null, loss.stream), el("td", null, loss.cause), el("td", { class: "n" }, count(loss.count)),
        el("td", null, `${clockTime(R.begin_us + loss.t0_us, 1e3)} to ${clockTime(R.begin_us + loss.t1_us, 1e3)}`));
      const show = () => emit("show-time", [loss.t0_us, loss.t1_us]);
      row.addEventListener("click", show);
      row.addEventListener("keydown", (event) => event.key === "Enter" && show());
      return row;
    });
    lost.push(el("table", null, el("thead", null, el("tr", null, ["Events of", "Cause", "How many", "When (UTC)"].map((t) => el("th", null, t)))), el("tbody", null, rows)));
  }
  const words = [
    ["A bar", "is the life of a process. Its colour is that of its program's name; where it executes another program the colour changes."],
    ["The graph in a bar", "is CPU time as the sampler saw it: as high as the bar is one whole CPU."],
    ["A red dot", "is an exit status other than 0, a larger one a signal; a red tick above a bar an exec that failed."],
    ["×16", "stands for siblings of one name without children. Unfold it to see each."],
    ["Quiet", "is a process that did not begin, end, execute or use CPU time while it was recorded."],
    ["Hatched time", "lost events: red where processes are missing, amber where stacks are."],
    ["A call path", "of a task begins in its program; that of an interrupt where the interrupt did."],
  ];
  $("about").replaceChildren(
    el("div", { class: "columns" }, el("div", null, recordings, lost),
      el("div", null, el("h2", null, "How to read this page"), facts(words), el("p", { class: "dim" },
        `Made by whence ${R.version}. This page is complete in itself: it loads nothing and sends nothing. Times are UTC.`))));
}
