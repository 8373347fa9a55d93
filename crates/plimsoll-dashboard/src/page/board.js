// The page: connection, header, cards in their order, events, and what the board itself costs.

import { Card, offer, rejections } from "./card.js";
import { attribute, html, text } from "./chart.js";
import { Controls } from "./control.js";
import { Detail, describe } from "./detail.js";
import { clock, count, number, share, time } from "./format.js";
import { Live, VIEWS, named } from "./stream.js";

/** Events that the page keeps, as the server does. */
const EVENTS = 200;
const LEVELS = ["bad", "warn", "ok", "idle"];
const STATES = {
  connecting: "connecting",
  live: "live",
  paused: "paused while hidden",
  lost: "connection lost, trying again",
  "let-go": "stopped",
  closed: "the server ends",
};

const get = id => document.getElementById(id);
const cards = new Map();
const controls = new Controls();
// The actions are those of this process, also where the fleet has a gate of the same name.
const detail = new Detail(get("detail"), id => (last?.writable ? controls.of(id) : []));
let events = [];
let last = null;
let seen = 0;

const live = new Live({ state, update, history });

function state(name) {
  text(get("status"), STATES[name]);
  attribute(get("status"), "data-state", name);
  const notice = get("notice");
  notice.hidden = name !== "let-go";
  if (!notice.hidden) {
    const again = html("button", { type: "button" }, "Watch again");
    again.addEventListener("click", () => live.open());
    notice.replaceChildren("This page was let go for a newer one: the number of viewers is limited. ", again);
  }
}

function history(of, newer) {
  events = [...of.events, ...newer.flatMap(update => update.events)].slice(-EVENTS);
  draw();
  list();
}

function update(now) {
  last = now;
  seen = Date.now();
  if (now.writable) controls.load(() => attribute(document.body, "data-writable", true));
  header(now);
  const busiest = Math.max(...now.gates.map(gate => offer(named(now.fields, gate.recent.point))), 0);
  for (const gate of now.gates) {
    if (!cards.has(gate.id)) cards.set(gate.id, new Card(gate.id, open));
    cards.get(gate.id).update(gate, now.fields, busiest);
  }
  for (const [id, card] of cards) {
    if (now.gates.some(gate => gate.id === id)) continue;
    card.root.remove();
    cards.delete(id);
  }
  get("empty").hidden = now.gates.length > 0;
  text(get("empty"), "No gate reports to these metrics.");
  if (now.events.length) {
    const newest = events.at(-1)?.number ?? 0;
    events = [...events, ...now.events.filter(event => now.peers.length || event.number > newest)].slice(-EVENTS);
    list();
  }
  order(now.gates);
  draw();
  if (detail.id && cards.has(detail.id)) detail.update(cards.get(detail.id), events);
  cost(now);
}

/** Worst first. A card that has the focus is not moved away from under it. */
function order(gates) {
  const place = get("gates");
  const worse = (a, b) => LEVELS.indexOf(a.level) - LEVELS.indexOf(b.level) || lost(b) - lost(a);
  const wanted = gates.toSorted(worse).map(gate => cards.get(gate.id).root);
  const same = wanted.every((root, at) => place.children[at] === root);
  const focused = document.activeElement;
  const holds = focused !== place && place.contains(focused);
  if (same || (holds && place.children.length === wanted.length)) return;
  place.append(...wanted);
  // Moving an element takes its focus.
  if (holds) focused.focus({ preventScroll: true });
}

/** The share of requests that were rejected or failed, in tenths: small changes move no card. */
function lost(gate) {
  const { now } = cards.get(gate.id);
  return Math.round((10 * (rejections(now) + (now.failed ?? 0))) / Math.max(offer(now), 1e-9));
}

function draw() {
  const [name] = VIEWS[live.view];
  for (const [id, card] of cards) card.draw(live.points(id), live.seconds, name);
  if (detail.id) detail.draw(live.points(detail.id), live.seconds);
}

function open(id) {
  detail.open(cards.get(id));
  detail.draw(live.points(id), live.seconds);
  detail.update(cards.get(id), events);
}

/** Sums over all gates: a request that passes two gates counts at both. */
function header(now) {
  const sum = of => now.gates.reduce((total, gate) => total + of(gate), 0);
  const recent = of => sum(gate => of(named(now.fields, gate.recent.point)));
  const [offered, rejected] = [recent(offer), recent(rejections)];
  const totals = [
    ["offered", "requests", `${number(offered)} per s`, count(sum(gate => gate.total.admitted + gate.total.rejections + gate.total.abandoned))],
    ["admitted", "admitted", `${number(recent(point => point.admitted ?? 0))} per s`, count(sum(gate => gate.total.admitted))],
    ["rejected", "rejected", `${number(rejected)} per s, ${share(rejected, offered)}`, count(sum(gate => gate.total.rejections))],
    ["failed", "failed", `${number(recent(point => point.failed ?? 0))} per s`,
      count(sum(gate => gate.total.finished.filter(([name]) => name === "failure" || name === "overloaded").reduce((all, [, calls]) => all + calls, 0)))],
    ["in_flight", "in flight", "now", count(sum(gate => gate.total.in_flight))],
  ];
  const place = get("totals");
  if (!place.children.length) {
    place.append(...totals.map(([key, name]) => html("div", { "data-total": key }, html("dt", {}, name), html("dd", { class: "value" }), html("dd", { class: "now" }))));
  }
  totals.forEach(([, , rate, value], at) => {
    text(place.children[at].children[1], value);
    text(place.children[at].children[2], rate);
  });
  get("scopes").hidden = !now.fleet;
  loads(now);
  peers(now.peers);
  alarms(now);
}

/** Alarms that are raised, and a process that is not ready for requests. */
function alarms(now) {
  const raised = now.alarms.map(({ alarm, gate, policy, value }) =>
    `Alarm ${alarm}: ${[gate, policy].filter(Boolean).join(", ")}${value === null || Number.isInteger(value) ? "" : `, ${number(value)}`}`);
  if (!now.is_ready) raised.unshift("Not ready: this process drains");
  const place = get("alarms");
  place.hidden = raised.length === 0;
  // A live region: it is read out when it changes, and not each second.
  const shown = [...place.children].map(line => line.textContent);
  if (shown.join("\n") !== raised.join("\n")) place.replaceChildren(...raised.map(line => html("li", {}, line)));
}

function loads(now) {
  get("load-section").hidden = now.loads.length === 0;
  get("loads").replaceChildren(...now.loads.map(([name, load]) => {
    const over = load !== null && now.overloaded_at !== null && load > now.overloaded_at;
    return html("li", { "data-over": over }, html("span", {}, name), html("b", {}, load === null ? "unknown" : `${number(load)}${over ? " overloaded" : ""}`));
  }));
}

function peers(list) {
  get("fleet").hidden = list.length === 0;
  get("peers").replaceChildren(...list.map(peer => html("li", { "data-state": peer.state },
    html("span", {}, peer.name), html("b", {}, peer.state),
    html("small", {}, [peer.age === null ? "never read" : `read ${time(peer.age)} ago`, peer.error].filter(Boolean).join(": ")))));
}

function list() {
  get("no-events").hidden = events.length > 0;
  get("events").replaceChildren(...grouped(events).toReversed().map(([event, changes]) => html("li", { "data-state": event.to },
    html("b", {}, [event.peer, event.gate].filter(Boolean).join(": ")),
    html("time", {}, clock(event.at)),
    html("span", {}, `${event.policy} · ${describe(event)}${changes > 1 ? ` (${changes} changes)` : ""}`))));
}

/** Changes of one number that follow each other are one row: a limit changes often. */
function grouped(all) {
  const rows = [];
  for (const event of all) {
    const [before, changes] = rows.at(-1) ?? [];
    const same = before && !event.state && ["gate", "policy", "figure", "peer", "key"].every(of => before[of] === event[of]) && event.from;
    if (same) rows[rows.length - 1] = [{ ...event, from: before.from }, changes + 1];
    else rows.push([event, 1]);
  }
  return rows;
}

function cost({ cost: of, failed_readings: failed }) {
  const parts = [
    `This board: ${time(of.sample_us / 1e6)} to read and ${time(of.update_us / 1e6)} to encode each update`,
    `${number(of.bytes)} bytes per update`,
    `${of.viewers} of ${of.max_viewers} viewers`,
    `${count(of.let_go)} let go`,
    `${count(of.dropped)} updates and ${count(of.lost_events)} events dropped`,
    `${count(failed)} failed readings`,
  ];
  text(get("cost"), parts.join(" · "));
}

function tabs(place, names, chosen, choose) {
  place.replaceChildren(...names.map((name, at) => {
    const button = html("button", { type: "button", "aria-pressed": at === chosen }, name);
    attribute(button, "aria-pressed", at === chosen);
    button.addEventListener("click", () => {
      for (const other of place.children) attribute(other, "aria-pressed", other === button);
      choose(at);
    });
    return button;
  }));
}

tabs(get("views"), VIEWS.map(([name]) => name), live.view, view => live.show(view));
tabs(get("scopes"), ["This process", "Fleet"], 0, at => {
  for (const card of cards.values()) card.root.remove();
  cards.clear();
  events = [];
  if (get("detail").open) get("detail").close();
  live.scope(at ? "fleet/" : "");
});
setInterval(() => {
  if (last && get("status").dataset.state === "live" && Date.now() - seen > 5000) {
    text(get("status"), `no update for ${time((Date.now() - seen) / 1000)}`);
  }
}, 1000);
live.open();
