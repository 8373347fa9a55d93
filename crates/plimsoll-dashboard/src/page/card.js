// The card of a gate: area is traffic, colour is health, the limit beside its use.

import { REASONS, STACK, attribute, band, frame, highest, html, nice, stack, svg, text } from "./chart.js";
import { figure, number, share, time, words } from "./format.js";
import { named } from "./stream.js";

/** Figures that have a place of their own on a card. */
const PLACED = new Set(["limit", "in_use", "queued", "queue_capacity"]);
/** Gauges of policies on a card, besides states. */
const CHIPS = 4;
/** The radius of the disc of the gate with the most traffic. */
const RADIUS = 19;

export class Card {
  /** `open(id)` shows the details. */
  constructor(id, open) {
    this.id = id;
    this.disc = svg("circle", { r: 2 });
    this.name = html("button", { type: "button", class: "open", "aria-haspopup": "dialog" });
    this.name.addEventListener("click", () => open(id));
    this.words = html("p", { class: "words" });
    this.rate = html("b");
    this.chart = frame("", [["band", "band"], ...STACK.map(([field, , color]) => [field, `area ${color}`])]);
    this.top = html("span", { class: "top-value" });
    this.keys = html("p", { class: "keys", "aria-hidden": "true" }, ...STACK.map(([, name, color]) => html("span", {}, html("i", { class: color }), name)), this.top);
    this.facts = Object.fromEntries(["admitted", "rejected", "failed", "p50", "p99", "p99.9"].map(name => [name, html("dd")]));
    this.limit = new Meter("in use");
    this.queue = new Meter("queue");
    this.states = html("ul", { class: "states" });
    this.because = html("p", { class: "because" });
    this.root = html("li", { class: "card", "data-id": id },
      html("div", { class: "head" },
        svg("svg", { class: "disc", viewBox: "-20 -20 40 40", "aria-hidden": "true" }, this.disc),
        html("h3", { class: "title" }, this.name),
        html("p", { class: "rate" }, this.rate, html("small", {}, "per s"))),
      this.words,
      html("div", { class: "plot" }, this.chart.root),
      this.keys,
      html("dl", { class: "facts" }, ...Object.entries(this.facts).map(([name, value]) => html("div", {}, html("dt", {}, name), value))),
      this.limit.root, this.queue.root, this.states, this.because);
    // The whole card opens the details; for the keyboard its name is a button.
    this.root.addEventListener("click", event => {
      if (!event.target.closest("button") && !getSelection()?.toString()) open(id);
    });
  }

  update(gate, fields, busiest) {
    this.gate = gate;
    const now = named(fields, gate.recent.point);
    this.now = now;
    const rejected = rejections(now);
    const offered = offer(now);
    attribute(this.root, "data-level", gate.level);
    text(this.name, gate.name);
    text(this.words, gate.words.join(" · "));
    text(this.rate, number(offered));
    attribute(this.disc, "r", Math.max(2, RADIUS * Math.sqrt(offered / Math.max(busiest, 1e-9))).toFixed(1));
    this.#fact("admitted", number(now.admitted));
    this.#fact("rejected", rejected > 0 ? `${number(rejected)} (${share(rejected, offered)})` : "0");
    this.#fact("failed", number(now.failed));
    this.#fact("p50", time(now.p50));
    this.#fact("p99", time(now.p99));
    this.#fact("p99.9", time(now.p999));
    this.#policies(gate);
  }

  #fact(name, value) {
    text(this.facts[name], value);
  }

  #policies(gate) {
    const limits = gate.policies.map(policy => Object.fromEntries(policy.figures.map(figure => [figure.name, figure.value])));
    const limit = limits.find(of => of.limit !== undefined);
    const queue = limits.find(of => of.queue_capacity > 0);
    this.limit.update(limit?.in_use, limit?.limit);
    this.queue.update(queue?.queued, queue?.queue_capacity);
    const all = gate.policies.flatMap(policy => policy.figures
      .filter(of => of.kind !== "counter" && !PLACED.has(of.name) && of.value !== null)
      .map(of => [of.kind === "state" ? policy.policy : words(of.name), figure(of), of.state ?? "", of.help]));
    // States first; the details have all figures.
    const chips = [...all.filter(([, , state]) => state), ...all.filter(([, , state]) => !state).slice(0, CHIPS)];
    // Their order is that of the policies; the number changes rarely.
    while (this.states.children.length > chips.length) this.states.lastChild.remove();
    while (this.states.children.length < chips.length) this.states.append(html("li", {}, html("span"), " ", html("b")));
    chips.forEach(([name, value, state, help], at) => {
      const item = this.states.children[at];
      text(item.firstChild, name);
      text(item.lastChild, value);
      attribute(item, "data-state", state);
      attribute(item, "title", help);
    });
    this.states.hidden = chips.length === 0;
    const change = gate.limit_change;
    const reason = change ? `Limit changed ${change.from} → ${change.to} because: ${change.reason}` : "";
    this.because.hidden = !change;
    text(this.because, reason);
  }

  /** Draws the points of the view. */
  draw(points, seconds, view) {
    const fields = STACK.map(([field]) => field);
    const top = nice(highest(points, fields, true));
    this.chart.width(points.length);
    attribute(this.chart.paths.band, "d", band(points));
    stack(points, fields, top).forEach((path, at) => attribute(this.chart.paths[fields[at]], "d", path));
    fields.forEach((field, at) => (this.keys.children[at].hidden = at > 0 && !points.some(point => point?.[field] > 0)));
    // An idle gate without traffic in the view is its name and its policies.
    attribute(this.root, "data-empty", this.gate?.level === "idle" && !points.some(point => point && offer(point) > 0));
    text(this.top, `0–${number(top)}/s`);
    attribute(this.chart.root, "aria-label", `Requests of ${this.gate?.name ?? ""} in the last ${view}`);
  }
}

/** A limit beside its use. */
class Meter {
  constructor(name) {
    this.name = name;
    this.bar = html("span", { class: "fill" });
    this.label = html("span");
    this.root = html("div", { class: "meter", hidden: true }, html("span", { class: "track", "aria-hidden": "true" }, this.bar), this.label);
  }

  update(use, limit) {
    this.root.hidden = limit === undefined || limit === null || use === undefined || use === null;
    if (this.root.hidden) return;
    const part = limit > 0 ? Math.min(use / limit, 1) : 1;
    this.bar.style.setProperty("width", `${(part * 100).toFixed(1)}%`);
    attribute(this.root, "data-full", part >= 0.8);
    text(this.label, `${this.name} ${number(use)} of ${number(limit)}`);
  }
}

export function rejections(point) {
  return REASONS.reduce((sum, [field]) => sum + (point[field] ?? 0), 0);
}

export function offer(point) {
  return (point.admitted ?? 0) + rejections(point) + (point.abandoned ?? 0);
}
