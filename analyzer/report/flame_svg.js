// Fits a flame graph to the window, zooms into a frame by a click, searches.
"use strict";
(() => {
  const LETTER = 6.7;
  const svg = document.documentElement;
  const whole = Number(svg.dataset.whole);
  const frames = [...document.querySelectorAll("#frames g")].map((group) => {
    const [title, rect, text] = group.children;
    const [at, weight, depth] = group.dataset.of.split(" ").map(Number);
    const frame = { group, rect, text, at, weight, depth };
    // The title is the name and, in brackets, its weight.
    frame.name = title.textContent.slice(0, title.textContent.lastIndexOf(" ("));
    group.addEventListener("click", () => zoom(zoomed === frame ? null : frame));
    return frame;
  });
  let zoomed = null;

  function zoom(frame) {
    zoomed = frame;
    draw();
  }

  /** Lays out what lies in the zoomed frame, and what is above it over all. */
  function draw() {
    const width = Math.max(320, innerWidth) - 20;
    svg.setAttribute("width", width + 20);
    const from = zoomed ? zoomed.at : 0;
    const span = zoomed ? zoomed.weight : whole;
    for (const { group, rect, text, at, weight, depth, name } of frames) {
      const isAbove = zoomed !== null && depth < zoomed.depth && at <= from && at + weight >= from + span;
      const x = isAbove ? 0 : ((at - from) / span) * width;
      const w = isAbove ? width : (weight / span) * width;
      const isShown = isAbove || (at >= from && at + weight <= from + span && (!zoomed || depth >= zoomed.depth));
      group.style.display = isShown ? "" : "none";
      group.classList.toggle("above", isAbove);
      if (!isShown) continue;
      rect.setAttribute("x", x + 10);
      rect.setAttribute("width", Math.max(0.2, w - 0.5));
      text.setAttribute("x", x + 13);
      const letters = Math.floor((w - 6) / LETTER);
      text.textContent = letters < 3 ? "" : letters >= name.length ? name : `${name.slice(0, letters - 1)}…`;
    }
  }

  /** Marks frames whose name has the text; gives the share of paths through them. */
  function search(query) {
    const lower = query.trim().toLowerCase();
    let sum = 0;
    let end = -1;
    const found = frames.filter((frame) => {
      const isMatch = lower !== "" && frame.name.toLowerCase().includes(lower);
      frame.group.classList.toggle("match", isMatch);
      return isMatch;
    });
    // From left to right, the outermost first: what lies in a match counts once.
    found.sort((a, b) => a.at - b.at || a.depth - b.depth);
    for (const { at, weight } of found) {
      if (at < end) continue;
      sum += weight;
      end = at + weight;
    }
    matched.textContent = lower ? `${((100 * sum) / whole).toFixed(1)}%` : "";
  }

  const HTML = "http://www.w3.org/1999/xhtml";
  const box = document.createElementNS("http://www.w3.org/2000/svg", "foreignObject");
  const field = document.createElementNS(HTML, "input");
  const matched = document.createElementNS("http://www.w3.org/2000/svg", "text");
  field.setAttribute("type", "search");
  field.setAttribute("placeholder", "Find functions");
  field.id = "search";
  matched.id = "matched";
  matched.setAttribute("class", "note");
  matched.setAttribute("y", 24);
  for (const [name, value] of [["y", 6], ["width", 200], ["height", 28]]) box.setAttribute(name, value);
  box.append(field);
  svg.append(box, matched);

  function place() {
    const right = Math.max(320, innerWidth);
    box.setAttribute("x", right - 210);
    matched.setAttribute("x", right - 265);
    draw();
  }

  field.addEventListener("input", () => search(field.value));
  addEventListener("resize", place);
  addEventListener("keydown", (event) => {
    if (event.key === "/" && event.target !== field) {
      event.preventDefault();
      field.focus();
    } else if (event.key === "Escape") {
      field.value = "";
      field.blur();
      search("");
      zoom(null);
    }
  });
  place();
})();
