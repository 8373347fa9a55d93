// What an operator may change: read from the server once, sent with its token.

import { html, text } from "./chart.js";
import { here } from "./stream.js";

export class Controls {
  #token = null;
  #actions = [];
  #asked = false;

  /** Asks for the actions, once. `done` is called when there are some. */
  async load(done) {
    if (this.#asked) return;
    this.#asked = true;
    await this.#ask();
    if (this.#actions.length) done();
  }

  async #ask() {
    try {
      const response = await fetch(here("control"), { cache: "no-store" });
      const listing = await response.json();
      this.#token = listing.token;
      this.#actions = listing.actions;
    } catch {
      this.#asked = false;
    }
  }

  get any() {
    return this.#actions.length > 0;
  }

  /** The elements of the actions of a gate. */
  of(id) {
    return this.#actions.filter(action => action.id === id).map(action => this.#form(action));
  }

  #form(action) {
    const result = html("output", { class: "result" });
    const input = {
      number: () => html("input", { type: "number", min: action.min, max: action.max, step: "any", required: true, "aria-label": action.name }),
      choice: () => html("select", { "aria-label": action.name }, ...action.choices.map(choice => html("option", { value: choice }, choice))),
      button: () => null,
    }[action.control]?.() ?? null;
    const form = html("form", { class: "control" }, html("span", {}, action.name), input, html("button", { type: "submit" }, input ? "Set" : "Do it"), result);
    form.addEventListener("submit", async event => {
      event.preventDefault();
      const value = input === null ? null : action.control === "number" ? Number(input.value) : input.value;
      text(result, "sent");
      text(result, await this.#send({ gate: action.gate, name: action.name, value }));
    });
    return form;
  }

  /** Sends a command. A token of another process is replaced, once. */
  async #send(command, again = true) {
    try {
      const headers = { "content-type": "application/json", "x-plimsoll-token": this.#token };
      const response = await fetch(here("control"), { method: "POST", headers, body: JSON.stringify(command) });
      if (response.ok) return "done";
      if (response.status === 403 && again) {
        await this.#ask();
        return this.#send(command, false);
      }
      if (response.status === 403) return "not permitted";
      return (await response.text()) || `failed with status ${response.status}`;
    } catch {
      return "no answer";
    }
  }
}
