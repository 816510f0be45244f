// Drawings that are as sharp as the screen, and text that fits.

const SANS = "12px system-ui, sans-serif";
const MONO = "11px ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace";

/** Gives a canvas its size in CSS pixels and a context to draw with. */
function prepared(canvas, width, height) {
  const ratio = devicePixelRatio || 1;
  const [w, h] = [Math.max(1, Math.round(width * ratio)), Math.max(1, Math.round(height * ratio))];
  if (canvas.width !== w || canvas.height !== h) {
    canvas.width = w;
    canvas.height = h;
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  context.textBaseline = "middle";
  return context;
}

const widths = new Map();

/** A text cut to some pixels; empty if not even its begin fits. All of our wide
 * texts are set in a font whose letters are equally wide. */
function fitted(context, text, pixels) {
  let width = widths.get(context.font);
  if (!width) widths.set(context.font, (width = context.measureText("m".repeat(20)).width / 20));
  const letters = Math.floor(pixels / width);
  if (letters >= text.length) return text;
  return letters < 3 ? "" : `${text.slice(0, letters - 1)}…`;
}

/** Fills a rectangle with slanted lines: what was lost. */
function hatched(context, x, y, width, height, colour, strength = 1) {
  context.save();
  context.beginPath();
  context.rect(x, y, width, height);
  context.clip();
  context.globalAlpha = 0.16 * strength;
  context.fillStyle = colour;
  context.fillRect(x, y, width, height);
  context.globalAlpha = 0.75 * strength;
  context.strokeStyle = colour;
  context.lineWidth = 1;
  context.beginPath();
  const from = Math.floor((x - height) / 6) * 6;
  for (let at = from; at < x + width; at += 6) {
    context.moveTo(at, y + height);
    context.lineTo(at + height, y);
  }
  context.stroke();
  context.restore();
}

/** Steps of an axis that are round numbers, at least so many pixels apart. */
function roundStep(us, pixels, least) {
  const raw = (us / Math.max(1, pixels)) * least;
  const power = 10 ** Math.floor(Math.log10(Math.max(raw, 1)));
  if (raw < 1e6) return [1, 2, 5, 10].map((n) => n * power).find((step) => step >= raw) ?? power * 10;
  const seconds = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400];
  const found = seconds.find((s) => s * 1e6 >= raw);
  return found ? found * 1e6 : Math.ceil(raw / 86400e6) * 86400e6;
}

/** Calls `draw` when the size of an element changes. */
function resized(element, draw) {
  new ResizeObserver(draw).observe(element);
}
