// Labels of a set: current values, decisions on their way to the server, and changes by others.

import { el, many, note, say } from "./dom.js";
import { get, post } from "./server.js";

const POLL_MS = 2000; // between polls for changes by others

export class Labels {
  // hooks: changed(), author() -> name
  constructor(bar, saved, hooks) {
    this.bar = bar;
    this.saved = saved;
    this.hooks = hooks;
    this.pending = []; // not saved by the server yet
    this.sending = null;
    this.coming = 0; // labels of items that are being loaded
    this.order = Promise.resolve(); // order of the decisions
    this.undone = []; // groups to redo, the last one first to be redone
    this.more = el("button", { type: "button", className: "add", id: "add-label" }, "Add label ", el("kbd", {}, "."));
    setInterval(() => this.look(), POLL_MS);
    addEventListener("beforeunload", (event) => {
      if (this.pending.length || this.coming) event.preventDefault();
    });
  }

  // Opens a label set; `extra` lists labels that may have no decisions yet.
  async open(name, extra = []) {
    this.set = name;
    this.sequence = 0;
    this.of = new Map(); // id -> Map(label -> value)
    this.counts = {};
    this.names = [];
    this.undone = [];
    this.chips = new Map(); // label -> its button
    this.bar.replaceChildren(this.more);
    await this.look();
    for (const label of extra) this.add(label, false);
    this.active = this.names.includes(this.active) ? this.active : (this.names[0] ?? "");
    this.show();
  }

  value(id, label = this.active) {
    return this.of.get(id)?.get(label) ?? 0;
  }

  marks(id) {
    const mine = this.of.get(id);
    if (!mine) return [];
    return this.names
      .map((label, number) => ({ label, number, value: mine.get(label) ?? 0 }))
      .filter((mark) => mark.value);
  }

  add(label, activate = true) {
    if (!this.names.includes(label)) this.names.push(label);
    if (activate) this.activate(label);
  }

  activate(label) {
    this.active = label;
    this.show();
    this.hooks.changed();
  }

  reviewed() {
    const [holds, fails] = this.counts[this.active] ?? [0, 0];
    return holds + fails;
  }

  put(id, label, value) {
    const mine = this.of.get(id) ?? new Map();
    const old = mine.get(label) ?? 0;
    if (value) mine.set(label, value);
    else mine.delete(label);
    this.of.set(id, mine);
    const counts = (this.counts[label] ??= [0, 0]);
    if (old) counts[old > 0 ? 0 : 1] -= 1;
    if (value) counts[value > 0 ? 0 : 1] += 1;
  }

  // Labels items as positive (1), negative (-1) or unknown (0). The items may still be loading;
  // decisions are applied in the order in which they were made.
  mark(items, number, label, value, about) {
    this.coming += number;
    this.show();
    items.catch(() => {}); // handled below
    this.order = this.order.then(async () => {
      try {
        this.decide(await items, label, value, about);
      } catch (error) {
        note(`Not labeled: ${error.message}`, "error");
      } finally {
        this.coming -= number;
        this.show();
      }
    });
  }

  decide(items, label, value, about) {
    this.add(label, false);
    this.undone = [];
    const before = items.map((item) => this.value(item.id, label));
    for (const item of items) this.put(item.id, label, value);
    this.pending.push({
      before,
      body: { set: this.set, label, value, author: this.hooks.author(), ids: items.map((item) => item.id), ...about },
    });
    this.hooks.changed();
    say(`${many(items.length, "item")}: ${label} ${value > 0 ? "yes" : value < 0 ? "no" : "removed"}`);
    this.send();
  }

  // Sends pending decisions in order; failed ones stay pending and are sent again.
  send() {
    this.sending ??= this.flush().finally(() => {
      this.sending = null;
    });
    return this.sending;
  }

  async flush() {
    while (this.pending.length) {
      const { body, before } = this.pending[0];
      try {
        await post("/api/mark", body);
        this.pending.shift();
        this.show();
      } catch (error) {
        if (error.unreachable || error.status >= 500) {
          note(`Not saved yet, retrying: ${error.message}`, "error");
          this.show();
          this.unsaved = true;
          return;
        }
        this.pending.shift();
        if (body.set === this.set) body.ids.forEach((id, place) => this.put(id, body.label, before[place]));
        note(error.message, "error");
        this.show();
        this.hooks.changed();
      }
    }
    if (this.unsaved) note("");
    this.unsaved = false;
  }

  undo() {
    this.order = this.order.then(() => this.change("/api/undo", {}, "Undone"));
  }

  // Makes the decisions of the last undo again, as long as there are no newer ones.
  redo() {
    this.order = this.order.then(() => {
      const group = this.undone.pop();
      if (group === undefined) note("Nothing to redo.");
      else return this.change("/api/redo", { group }, "Redone");
    });
  }

  async change(path, about, done) {
    await this.send();
    if (this.pending.length) return;
    try {
      const { changes, group } = await post(path, { set: this.set, author: this.hooks.author(), ...about });
      if (group) this.undone.push(group);
      for (const [id, label, value] of changes) this.put(id, label, value);
      say(`${done}: ${many(changes.length, "label")}`);
      note("");
      this.show();
      this.hooks.changed();
    } catch (error) {
      note(error.message, error.status === 400 ? "info" : "error");
    }
  }

  // Polls for changes by others, and sends pending decisions.
  async look() {
    if (!this.set || this.looking) return;
    this.looking = true;
    const set = this.set;
    try {
      await this.send();
      if (this.pending.length) return;
      const found = await get("/api/state", { set, since: this.sequence });
      if (set !== this.set || this.pending.length) return;
      if (found.whole && this.sequence) this.of.clear();
      const fresh = found.sequence !== this.sequence;
      this.sequence = found.sequence;
      for (const label of Object.keys(found.labels)) this.add(label, false);
      for (const [id, label, value] of found.changes) this.put(id, label, value);
      this.counts = found.labels;
      if (!this.active) this.active = this.names[0] ?? "";
      if (fresh) {
        this.show();
        this.hooks.changed();
      }
    } catch (error) {
      note(error.message, "error");
    } finally {
      this.looking = false;
    }
  }

  show() {
    const waiting = this.pending.reduce((sum, one) => sum + one.body.ids.length, this.coming);
    this.saved.textContent = waiting ? `${many(waiting, "label")} not saved yet` : "All saved";
    this.saved.className = waiting ? "waiting" : "";
    this.names.forEach((label, number) => this.describe(this.chip(label, number), label));
    if (!this.bar.contains(document.activeElement)) this.more.tabIndex = this.active ? -1 : 0;
  }

  // Returns the button of a label, which stays the same so that it keeps the focus.
  chip(label, number) {
    if (!this.chips.has(label)) {
      const chip = el("button", { type: "button", className: `label hue-${number % 9}` },
        number < 9 ? el("kbd", {}, String(number + 1)) : "",
        el("span", { className: "text" }, label),
        el("span", { className: "counts" }));
      chip.dataset.label = label;
      this.chips.set(label, chip);
      this.more.before(chip);
    }
    return this.chips.get(label);
  }

  describe(chip, label) {
    const [holds, fails] = this.counts[label] ?? [0, 0];
    const active = label === this.active;
    chip.querySelector(".counts").textContent = `\u2713${holds} \u2717${fails}`;
    chip.title = `${label}: ${holds} yes, ${fails} no`;
    chip.setAttribute("aria-pressed", String(active));
    if (!this.bar.contains(document.activeElement)) chip.tabIndex = active ? 0 : -1;
  }
}
