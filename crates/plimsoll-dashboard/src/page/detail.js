// The details of a gate, in a dialog: charts, tables, settings, and what an operator may change.

import { LATENCY, STACK, attribute, band, frame, highest, html, line, nice, stack, steps, svg, text } from "./chart.js";
import { clock, count, figure, number, share, span, time, words } from "./format.js";

/** Rows of the list of keys, and of the events of a gate. */
const KEYS = 10;
const EVENTS = 20;
const LIMITS = [["in_use", "in use", "c-use"], ["queued", "queued", "c-queued"], ["limit", "limit", "c-limit"]];

export class Detail {
  #id = null;
  #charts = [];

  /** `controls(id)` returns the elements with which an operator changes the gate. */
  constructor(dialog, controls) {
    this.dialog = dialog;
    this.controls = controls;
    dialog.addEventListener("close", () => (this.#id = null));
    // A click beside the panel closes it.
    dialog.addEventListener("click", event => event.target === dialog && dialog.close());
  }

  get id() {
    return this.#id;
  }

  open(card) {
    this.#id = card.id;
    this.name = html("h2", { id: "detail-name" });
    this.words = html("p", { class: "words" });
    const close = html("button", { type: "button", class: "close", "aria-label": "Close" }, "Close");
    close.addEventListener("click", () => this.dialog.close());
    this.#charts = [
      new Plot("Requests", "per second", STACK, { stacked: true, format: number }),
      new Plot("Latency", "request to head of the response", LATENCY, { format: time }),
      new Plot("Limit and use", "requests", LIMITS, { steps: true, format: number }),
    ];
    this.histogram = new Histogram();
    this.tables = html("div", { class: "tables" });
    this.dialog.replaceChildren(html("div", { class: "panel" },
      html("header", { class: "head" }, html("div", { class: "title" }, this.name, this.words), close),
      html("div", { class: "plots" }, ...this.#charts.map(chart => chart.root), this.histogram.root),
      html("div", { class: "controls" }, ...this.controls(card.id)),
      this.tables));
    this.dialog.showModal();
  }

  update(card, events) {
    const { gate } = card;
    attribute(this.dialog, "data-level", gate.level);
    text(this.name, gate.name);
    text(this.words, gate.words.join(" · "));
    this.histogram.update(gate.histogram);
    const open = [...this.tables.querySelectorAll("table")].map(table => table.scrollLeft);
    this.tables.replaceChildren(...tables(gate, events.filter(event => event.gate === gate.name)));
    this.tables.querySelectorAll("table").forEach((table, at) => (table.scrollLeft = open[at] ?? 0));
  }

  draw(points, seconds) {
    this.#charts.forEach(chart => chart.draw(points, seconds));
  }
}

/** A chart with a legend, an axis, and the values under a cursor. */
class Plot {
  #cursor = null;

  constructor(title, unit, series, options) {
    this.series = series;
    this.options = options;
    const kind = options.stacked ? "area" : "line";
    this.chart = frame(title, [["band", "band"], ["grid", "grid"], ...series.map(([field, , color]) => [field, `${kind} ${color}`]), ["cursor", "cursor"]],
      { tabindex: 0 });
    this.legend = series.map(([, , color]) => html("span", {}, html("i", { class: color }), html("span"), " ", html("b")));
    this.when = html("small");
    this.ticks = [0, 1, 2].map(at => html("span", { class: `tick t${at}` }));
    this.start = html("span", { class: "start" });
    this.root = html("figure", {},
      html("figcaption", {}, html("b", {}, title), html("small", {}, unit), this.when),
      html("p", { class: "keys" }, ...this.legend),
      html("div", { class: "plot" }, this.chart.root, ...this.ticks),
      html("div", { class: "times", "aria-hidden": "true" }, this.start, html("span", {}, "now")));
    this.chart.root.addEventListener("pointermove", event => {
      const box = this.chart.root.getBoundingClientRect();
      this.#move(Math.floor(((event.clientX - box.left) / box.width) * this.points.length));
    });
    this.chart.root.addEventListener("pointerleave", () => this.#move(null));
    this.chart.root.addEventListener("blur", () => this.#move(null));
    this.chart.root.addEventListener("keydown", event => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!step) return;
      event.preventDefault();
      this.#move((this.#cursor ?? this.points.length) + step);
    });
  }

  #move(at) {
    this.#cursor = at === null ? null : Math.max(0, Math.min(at, this.points.length - 1));
    this.#values();
  }

  draw(points, seconds) {
    this.points = points;
    this.seconds = seconds;
    const fields = this.series.map(([field]) => field);
    const { stacked, format } = this.options;
    const top = nice(highest(points, fields, stacked));
    this.chart.width(points.length);
    const { paths } = this.chart;
    attribute(paths.band, "d", band(points));
    attribute(paths.grid, "d", `M0 50H${points.length}M0 100H${points.length}`);
    if (stacked) stack(points, fields, top).forEach((path, at) => attribute(paths[fields[at]], "d", path));
    else for (const field of fields) attribute(paths[field], "d", (this.options.steps ? steps : line)(points, field, top));
    this.ticks.forEach((tick, at) => text(tick, format((top * (2 - at)) / 2).replace(/\.0+(?= )/, "")));
    text(this.start, `${span(points.length * seconds)} ago`);
    // A gate without a limit has no chart of it.
    this.root.hidden = Boolean(this.options.steps) && !points.some(point => fields.some(field => (point?.[field] ?? null) !== null));
    this.#values();
  }

  /** The values at the cursor; without one, the latest. */
  #values() {
    const at = this.#cursor ?? this.points.findLastIndex(point => point !== null);
    const point = this.points[at];
    const ago = (this.points.length - 1 - at) * this.seconds;
    text(this.when, this.#cursor === null ? "" : point ? (ago === 0 ? "now" : `${span(ago)} ago`) : "no data");
    attribute(this.chart.paths.cursor, "d", this.#cursor === null ? "" : `M${at + 0.5} 0V100`);
    this.series.forEach(([field, name], i) => {
      const value = point?.[field];
      const [, label, , shown] = this.legend[i].childNodes;
      text(label, name);
      text(shown, this.options.format(value));
      // A stack names the reasons that occur; the others would only be zeros.
      this.legend[i].hidden = Boolean(this.options.stacked) && field !== "admitted" && !this.points.some(of => of?.[field] > 0);
    });
  }
}

/** The seconds at which a bar begins: half powers of two of a nanosecond. */
const begin = bar => (2 ** Math.floor(bar / 2) * (bar % 2 ? 1.5 : 1)) / 1e9;

/** Counts of calls by duration, two bars for each power of two. */
class Histogram {
  constructor() {
    this.bars = svg("path", { class: "area c-p50" });
    this.svg = svg("svg", { viewBox: "0 0 1 100", preserveAspectRatio: "none", role: "img", "aria-label": "Calls by latency" }, this.bars);
    this.from = html("span");
    this.to = html("span");
    this.note = html("span");
    this.top = html("span", { class: "tick t0" });
    this.root = html("figure", {},
      html("figcaption", {}, html("b", {}, "Latency histogram"), html("small", {}, "calls by latency, last 30 to 60 s")),
      html("p", { class: "keys" }, this.note),
      html("div", { class: "plot" }, this.svg, this.top, html("span", { class: "tick t2" }, "0")),
      html("div", { class: "times" }, this.from, this.to));
  }

  update(histogram) {
    const total = histogram.reduce((sum, [, calls]) => sum + calls, 0);
    text(this.note, total ? `${count(total)} calls` : "no calls");
    const first = histogram[0]?.[0] ?? 0;
    const last = histogram.at(-1)?.[0] ?? 0;
    const top = Math.max(1, ...histogram.map(([, calls]) => calls));
    text(this.top, number(top));
    attribute(this.svg, "viewBox", `0 0 ${last - first + 1} 100`);
    attribute(this.bars, "d", histogram.map(([at, calls]) =>
      `M${at - first + 0.06} 100V${(100 - Math.max(1, (100 * calls) / top)).toFixed(1)}h.88V100z`).join(""));
    text(this.from, histogram.length ? `from ${time(begin(first))}` : "");
    text(this.to, histogram.length ? `to ${time(begin(last + 1))}` : "");
  }
}

function tables(gate, events) {
  const { total } = gate;
  const offered = total.admitted + total.rejections + total.abandoned;
  const found = [
    table("Since the start", [
      ["requests", count(offered)],
      ["admitted", count(total.admitted)],
      ["rejected", `${count(total.rejections)} (${share(total.rejections, offered)})`],
      ["left the queue", count(total.abandoned)],
      ["in flight", count(total.in_flight)],
      ["body dropped", count(total.body_dropped)],
      ["no key", count(total.missing_keys)],
    ]),
    table("Ended, by class", total.finished.map(([name, calls]) => [name, count(calls)])),
  ];
  if (total.rejected.length) {
    found.push(table("Rejected, by policy and reason", total.rejected.map(([policy, kind, calls]) => [`${policy}: ${kind}`, count(calls)])));
  }
  const { waits, permits } = gate.recent;
  found.push(grid("Times of the last seconds", ["", "p50", "p99", "p99.9"], [
    ["queued", time(waits.p50), time(waits.p99), time(waits.p999)],
    ["permit held", time(permits.p50), time(permits.p99), time(permits.p999)],
  ]));
  for (const policy of gate.policies) {
    const rows = policy.figures.map(of => [words(of.name), of.kind === "counter" ? count(of.value) : figure(of), of.help]);
    found.push(table(policy.policy, [...rows, ...policy.settings.map(([name, value]) => [name, value])]));
  }
  if (gate.offenders.length) {
    found.push(table("Keys with most rejections", gate.offenders.map(([key, calls]) => [key, count(calls)])));
  }
  const keys = new Map();
  for (const event of events) if (event.key) keys.set(event.key, (keys.get(event.key) ?? 0) + 1);
  const top = [...keys].sort((a, b) => b[1] - a[1]).slice(0, KEYS);
  if (top.length) found.push(table("Keys with most events", top.map(([key, changes]) => [key, count(changes)])));
  const latest = events.slice(-EVENTS).reverse();
  if (latest.length) found.push(table("Events", latest.map(event => [clock(event.at), describe(event)]), "wide"));
  return found;
}

/** An event in words. */
export function describe(event) {
  const of = event.key ? ` of ${event.key}` : "";
  const change = event.from && event.to ? `${words(event.figure)}${of} ${event.from} → ${event.to}` : event.to ? `${words(event.figure)}${of} ${event.to}` : "";
  return [change, event.reason].filter(Boolean).join(": ");
}

function table(title, rows, className) {
  return html("section", { class: className }, html("h3", {}, title), html("table", {}, html("tbody", {}, ...rows.map(([name, value, help]) =>
    html("tr", {}, html("th", { scope: "row", title: help }, name), html("td", {}, value))))));
}

function grid(title, heads, rows) {
  return html("section", {}, html("h3", {}, title), html("table", {},
    html("thead", {}, html("tr", {}, ...heads.map(head => html("th", { scope: "col" }, head)))),
    html("tbody", {}, ...rows.map(([name, ...cells]) => html("tr", {}, html("th", { scope: "row" }, name), ...cells.map(cell => html("td", {}, cell)))))));
}
