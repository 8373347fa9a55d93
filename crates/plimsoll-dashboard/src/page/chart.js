// Charts as inline SVG, made by DOM calls: text of the server is never parsed as markup.

const SVG = "http://www.w3.org/2000/svg";
/** Height of the coordinates of a chart. Its width is the number of intervals. */
const HEIGHT = 100;

/** The reasons of rejections, from the bottom of a stack to its top, with their colours. */
export const REASONS = [
  ["over-quota", "over quota", "c-quota"],
  ["full", "full", "c-full"],
  ["circuit-open", "circuit open", "c-open"],
  ["deadline", "deadline", "c-deadline"],
  ["skipped", "skipped", "c-skipped"],
  ["other", "other", "c-other"],
];
export const STACK = [["admitted", "admitted", "c-admitted"], ...REASONS];
export const LATENCY = [["p50", "p50", "c-p50"], ["p99", "p99", "c-p99"], ["p999", "p99.9", "c-p999"]];

/** An HTML element: attributes, then children. Text children become text nodes. */
export function html(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** An SVG element. */
export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter(child => child !== null && child !== undefined));
  return element;
}

/** Sets text when it differs: an unchanged node is not laid out again. */
export function text(element, value) {
  if (element.textContent !== value) element.textContent = value;
}

export function attribute(element, name, value) {
  if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
}

/** The top of an axis: a short number that halves into another. */
export function nice(highest) {
  if (!(highest > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(highest));
  return [1, 1.2, 1.6, 2, 2.4, 3, 4, 5, 6, 8, 10].map(step => step * power).find(top => top >= highest * 0.9999) ?? 10 * power;
}

/** The highest sum of the fields of one point. */
export function highest(points, fields, stacked) {
  let top = 0;
  for (const point of points) {
    if (!point) continue;
    const values = fields.map(field => point[field] ?? 0);
    top = Math.max(top, stacked ? values.reduce((sum, value) => sum + value, 0) : Math.max(...values));
  }
  return top;
}

const y = (value, top) => (HEIGHT * (1 - Math.min(value / top, 1))).toFixed(1);

/** Where there are points: a band. A gap has none. */
export function band(points) {
  return runs(points, point => point !== null).map(([from, to]) => `M${from} 0H${to}V${HEIGHT}H${from}z`).join("");
}

function runs(points, has) {
  const found = [];
  points.forEach((point, at) => {
    if (!has(point)) return;
    const last = found.at(-1);
    if (last && last[1] === at) last[1] = at + 1;
    else found.push([at, at + 1]);
  });
  return found;
}

/** The areas of a stack, one path for each field. */
export function stack(points, fields, top) {
  const below = points.map(() => 0);
  return fields.map(field => points.map((point, at) => {
    const value = point?.[field] ?? 0;
    if (!(value > 0)) return "";
    const low = below[at];
    below[at] += value;
    return `M${at} ${y(low, top)}V${y(below[at], top)}H${at + 1}V${y(low, top)}z`;
  }).join(""));
}

/** A line of one field. It ends at a gap; a single point is a dash. */
export function line(points, field, top) {
  let path = "";
  for (const [from, to] of runs(points, point => (point?.[field] ?? null) !== null)) {
    if (to === from + 1) path += `M${from} ${y(points[from][field], top)}h1`;
    for (let at = from; to > from + 1 && at < to; at += 1) path += `${at === from ? "M" : "L"}${at + 0.5} ${y(points[at][field], top)}`;
  }
  return path;
}

/** A line of steps, for a value that holds until it changes. */
export function steps(points, field, top) {
  let path = "";
  for (const [from, to] of runs(points, point => (point?.[field] ?? null) !== null)) {
    path += `M${from} ${y(points[from][field], top)}`;
    for (let at = from; at < to; at += 1) path += `V${y(points[at][field], top)}H${at + 1}`;
  }
  return path;
}

/** An empty chart; its paths are set by their names. */
export function frame(label, names, attributes = {}) {
  const paths = Object.fromEntries(names.map(([name, className]) => [name, svg("path", { class: className })]));
  const root = svg("svg", { viewBox: `0 0 60 ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": label, ...attributes },
    ...names.map(([name]) => paths[name]));
  return { root, paths, width: count => attribute(root, "viewBox", `0 0 ${Math.max(count, 1)} ${HEIGHT}`) };
}
