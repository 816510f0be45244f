// Colours: by theme from the styles, by name of a program, by kind of a function.

const HUES = [172, 262, 28, 210, 330, 96, 48, 190, 292, 12, 232, 140, 310, 72, 250, 20];

const colours = {
  dark: false,
  /** Reads what the styles say now. */
  read() {
    const style = getComputedStyle(document.documentElement);
    const get = (name) => style.getPropertyValue(`--${name}`).trim();
    this.dark = get("theme") === "dark";
    for (const name of ["ink", "dim", "faint", "line", "paper", "panel", "accent", "bad", "warn", "match"]) {
      this[name] = get(name);
    }
    this.byName.clear();
    this.frames.clear();
  },
  byName: new Map(),
  frames: new Map(),
  /** Of a program: the hue is that of its name, the same in every report. */
  program(name) {
    let found = this.byName.get(name);
    if (!found) {
      const hue = HUES[hashed(name) % HUES.length];
      const shift = ((hashed(name) >>> 8) % 5) - 2;
      found = {
        faint: `hsl(${hue} 50% 50% / ${this.dark ? 0.3 : 0.22})`,
        solid: `hsl(${hue} ${this.dark ? 52 : 58}% ${(this.dark ? 56 : 45) + 2 * shift}%)`,
        edge: `hsl(${hue} 55% ${this.dark ? 60 : 42}% / 0.75)`,
        text: `hsl(${hue} ${this.dark ? 60 : 70}% ${this.dark ? 80 : 22}%)`,
      };
      this.byName.set(name, found);
    }
    return found;
  },
  /** Of a function, by its kind: its name only varies the shade. */
  frame(kind, name) {
    const shade = hashed(name) % 8;
    const key = kind * 8 + shade;
    let found = this.frames.get(key);
    if (!found) {
      const [hue, saturation] = [[186, 46], [30, 78], [220, 8], [262, 45]][kind] ?? [0, 0];
      const light = (this.dark ? 34 : 74) + (shade - 4) * (this.dark ? 1.3 : 1.6);
      found = `hsl(${hue + (kind === 2 ? 0 : shade * 1.5 - 6)} ${this.dark ? saturation * 0.72 : saturation}% ${light}%)`;
      this.frames.set(key, found);
    }
    return found;
  },
};

/** FNV-1a. */
function hashed(text) {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}
