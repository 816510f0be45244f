// Elements, and what the parts of the page tell each other. Text from the
// recording is only ever set as text.

const $ = (id) => document.getElementById(id);

/** An element with attributes or handlers, and children that are elements or text. */
function el(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "class") element.className = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

const listeners = new Map();

function on(event, listener) {
  if (!listeners.has(event)) listeners.set(event, []);
  listeners.get(event).push(listener);
}

function emit(event, detail) {
  for (const listener of listeners.get(event) ?? []) listener(detail);
}

/** Calls `draw` once before the next frame, however often it is asked. */
function scheduled(draw) {
  let waits = false;
  return () => {
    if (waits) return;
    waits = true;
    requestAnimationFrame(() => {
      waits = false;
      draw();
    });
  };
}

/** Shows lines beside the pointer; no lines hide them. */
function tip(event, lines) {
  const box = $("tip");
  box.hidden = !lines?.length;
  if (box.hidden) return;
  box.replaceChildren(...lines.map((line, i) => el(i ? "div" : "b", null, line)));
  const { width, height } = box.getBoundingClientRect();
  const left = event.clientX + 14 + width > innerWidth ? event.clientX - width - 10 : event.clientX + 14;
  const top = event.clientY + 18 + height > innerHeight ? event.clientY - height - 10 : event.clientY + 18;
  box.style.left = `${Math.max(4, left)}px`;
  box.style.top = `${Math.max(4, top)}px`;
}

/** A text cut to some characters. */
function cut(text, most) {
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}
