// The connection to the server: the history of the shown view, and the update of each second.

/** The views: name, seconds, and the resolution of the server that has them. */
export const VIEWS = [["10 s", 10, 0], ["1 min", 60, 0], ["10 min", 600, 1], ["1 h", 3600, 2]];
/** Updates that are kept while a history is loading. */
const HELD = 10;

/** The folder of the board: the page may be at its path without the last slash. */
export const here = path => new URL(path, import.meta.url);

export class Live {
  #source = null;
  #prefix = "";
  #view = 1;
  #loading = null;
  #held = [];
  #number = -2;
  #end = 0;
  #seconds = 1;
  #retry = 0;
  series = new Map();

  /** `on` has: state(name), update(update), history(history, newer), with the updates after it. */
  constructor(on) {
    this.on = on;
    document.addEventListener("visibilitychange", () => (document.hidden ? this.#pause() : this.open()));
  }

  get view() {
    return this.#view;
  }

  get prefix() {
    return this.#prefix;
  }

  /** Points of a gate in the view, oldest first; null is a gap. */
  points(id) {
    const wanted = Math.max(1, Math.round(VIEWS[this.#view][1] / this.#seconds));
    const points = (this.series.get(id) ?? []).slice(-wanted);
    return [...Array(wanted - points.length).fill(null), ...points];
  }

  /** Seconds of a point. */
  get seconds() {
    return this.#seconds;
  }

  show(view) {
    this.#view = view;
    this.#load();
  }

  scope(prefix) {
    this.#prefix = prefix;
    this.series.clear();
    this.open();
  }

  open() {
    this.close();
    if (document.hidden) return;
    this.on.state("connecting");
    this.#number = -2;
    const source = new EventSource(here(`${this.#prefix}updates`));
    this.#source = source;
    source.addEventListener("update", event => this.#update(JSON.parse(event.data)));
    source.addEventListener("let-go", () => this.#end_with("let-go"));
    source.addEventListener("closed", () => this.#end_with("closed"));
    source.addEventListener("error", () => {
      if (source !== this.#source) return;
      this.on.state("lost");
      // After an error status the browser does not connect again by itself.
      if (source.readyState === EventSource.CLOSED) this.#retry = setTimeout(() => this.open(), 5000);
    });
  }

  close() {
    clearTimeout(this.#retry);
    // A history that arrives later is that of another scope, or has a gap.
    this.#loading = null;
    this.#held = [];
    this.#source?.close();
    this.#source = null;
  }

  #end_with(state) {
    this.close();
    this.on.state(state);
  }

  #pause() {
    this.close();
    this.on.state("paused");
  }

  #update(update) {
    this.on.state("live");
    const missed = update.number !== this.#number + 1;
    this.#number = update.number;
    if (this.#loading) {
      this.#held.push(update);
      if (this.#held.length > HELD) this.#held.shift();
    } else if (missed) {
      this.#load();
    } else {
      this.#append(update);
    }
    this.on.update(update);
  }

  /** Adds the points of an update. Intervals without a point are gaps. */
  #append(update) {
    const end = Math.floor(update.second / this.#seconds);
    const gap = end - this.#end - 1;
    if (gap < 0) return;
    this.#end = end;
    const ring = VIEWS[this.#view][2];
    for (const gate of update.gates) {
      const points = this.series.get(gate.id) ?? [];
      for (let at = 0; at < Math.min(gap, 120); at += 1) points.push(null);
      const point = gate.points[ring];
      points.push(point ? named(update.fields, point) : null);
      this.series.set(gate.id, points.slice(-120));
    }
  }

  async #load() {
    const ring = VIEWS[this.#view][2];
    const loading = Symbol();
    this.#loading = loading;
    try {
      const response = await fetch(here(`${this.#prefix}history/${ring}.json`), { cache: "no-store" });
      if (!response.ok) throw new Error(`status ${response.status}`);
      const history = await response.json();
      if (this.#loading !== loading) return;
      this.#seconds = history.seconds;
      this.#end = Math.floor(history.second / history.seconds);
      this.series = new Map(history.gates.map(([id, points]) => [id, points.map(point => point && named(history.fields, point))]));
      this.#loading = null;
      const newer = this.#held.splice(0).filter(update => update.number > history.number);
      for (const update of newer) this.#append(update);
      this.on.history(history, newer);
    } catch {
      // The next update finds that points are missing, and loads again.
      if (this.#loading === loading) {
        this.#loading = null;
        this.#held = [];
        this.#number = -2;
      }
    }
  }
}

/** A point as an object, by the names that the server states. */
export function named(fields, point) {
  return Object.fromEntries(fields.map((field, at) => [field, point[at]]));
}
