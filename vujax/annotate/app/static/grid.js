// Virtual grid: only visible cells, all of one size, are in the document.

import { clock, el, debounce } from "./dom.js";
import { picture, post } from "./server.js";

const WIDTH = 176; // minimum, of a cell
const MIN_WIDTH = 120; // where that makes two columns
const GAP = 6;
const LINE = 22; // the line of text below an image
const BLOCK = 120; // items per request
const AHEAD = 2; // rows beyond the visible ones
const MAX_ITEMS = 6000; // cached

export class Grid {
  // hooks: level() -> its name, marks(id) -> [{number, label, value}], active(id) -> value,
  // below(place) -> bool, moved(place), selected(number), play(), failed(error)
  constructor(root, hooks) {
    this.root = root;
    this.hooks = hooks;
    this.space = el("div", { className: "space" });
    root.append(this.space);
    this.cells = new Map(); // place -> cell
    this.spare = [];
    this.items = new Map(); // row -> facts of its item
    this.asked = new Set(); // blocks
    this.fetchSoon = debounce(30, () => this.fetch());
    Object.assign(this, { rows: [], scores: null, more: [], chosen: new Set(), cursor: 0, generation: 0 });
    root.addEventListener("scroll", () => this.later(), { passive: true });
    new ResizeObserver(() => this.resize()).observe(root);
    root.addEventListener("click", (event) => this.clicked(event));
    root.addEventListener("dblclick", (event) => {
      if (event.target.closest(".cell") && !this.picking) hooks.play();
    });
  }

  // Shows a result: rows with scores (or null) and the number of hidden near-duplicates of each.
  set({ rows, scores, more }, place = 0) {
    this.rows = rows;
    this.scores = scores;
    this.more = more;
    this.generation += 1;
    this.asked.clear();
    this.chosen = new Set();
    this.anchor = null;
    this.cursor = Math.max(0, Math.min(place, rows.length - 1));
    for (const cell of this.cells.values()) this.release(cell);
    this.cells.clear();
    this.resize();
    this.reveal();
    this.hooks.moved?.(this.cursor);
  }

  get length() {
    return this.rows.length;
  }

  resize() {
    const width = this.root.clientWidth - 2 * GAP;
    if (width <= 0) return;
    const first = this.columns ? this.firstRow() * this.columns : 0;
    const least = Math.min(WIDTH, Math.max(MIN_WIDTH, (width - GAP) / 2)); // two columns on a phone
    this.columns = Math.max(1, Math.floor((width + GAP) / (least + GAP)));
    this.wide = Math.floor((width + GAP) / this.columns) - GAP;
    this.high = Math.round((this.wide * 9) / 16) + LINE;
    const lines = Math.ceil(this.rows.length / this.columns);
    this.space.style.height = `${lines * (this.high + GAP) + GAP}px`;
    this.root.style.setProperty("--wide", `${this.wide}px`);
    this.root.style.setProperty("--high", `${this.high}px`);
    if (first) this.root.scrollTop = Math.floor(first / this.columns) * (this.high + GAP);
    for (const [place, cell] of this.cells) this.position(cell, place);
    this.draw();
  }

  firstRow() {
    return Math.floor(this.root.scrollTop / (this.high + GAP));
  }

  // Draws at the next animation frame, once for all calls until then.
  later() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      this.draw();
    });
  }

  draw() {
    if (!this.columns) return;
    const seen = Math.ceil(this.root.clientHeight / (this.high + GAP)) + 1;
    const from = Math.max(0, this.firstRow() - AHEAD) * this.columns;
    const to = Math.min(this.rows.length, (this.firstRow() + seen + AHEAD) * this.columns);
    for (const [place, cell] of this.cells) {
      if (place < from || place >= to) {
        this.release(cell);
        this.cells.delete(place);
      }
    }
    for (let place = from; place < to; place++) {
      if (!this.cells.has(place)) this.cells.set(place, this.take(place));
      this.fill(this.cells.get(place), place);
    }
    this.range = [from, to];
    if (this.told !== this.chosen.size) this.hooks.selected(this.told = this.chosen.size);
    this.root.setAttribute("aria-activedescendant", this.rows.length ? `cell-${this.cursor}` : "");
    this.fetchSoon();
  }

  take(place) {
    const cell = this.spare.pop() ?? this.make();
    cell.box.id = `cell-${place}`;
    cell.row = null;
    this.position(cell, place);
    this.space.append(cell.box);
    return cell;
  }

  make() {
    const cell = {
      image: el("img", { alt: "", decoding: "async", draggable: false }),
      marks: el("span", { className: "marks" }),
      more: el("span", { className: "more" }),
      time: el("span", { className: "time" }),
      title: el("span", { className: "title" }),
      score: el("span", { className: "score" }),
    };
    const line = el("span", { className: "line" }, cell.time, cell.title, cell.score);
    const frame = el("span", { className: "frame" }, cell.image, cell.marks, cell.more);
    cell.box = el("div", { className: "cell", role: "option" }, frame, line);
    return cell;
  }

  release(cell) {
    cell.box.remove();
    cell.image.removeAttribute("src");
    this.spare.push(cell);
  }

  position(cell, place) {
    const x = GAP + (place % this.columns) * (this.wide + GAP);
    const y = GAP + Math.floor(place / this.columns) * (this.high + GAP);
    cell.box.style.transform = `translate(${x}px, ${y}px)`;
  }

  fill(cell, place) {
    const row = this.rows[place];
    const item = this.items.get(row);
    if (item && cell.row !== row) {
      cell.row = row;
      if (item.picture) cell.image.src = picture(item.picture);
      cell.time.textContent = clock(item.begin);
      cell.title.textContent = item.title;
      cell.score.textContent = this.scores ? this.scores[place].toFixed(3) : "";
      const more = this.more[place] ?? 0;
      cell.more.textContent = more ? `+${more}` : "";
      cell.more.title = more ? `${more} near-duplicates hidden` : "";
    }
    const value = item ? this.hooks.active(item.id) : 0;
    const classes = ["cell"];
    if (!item) classes.push("coming");
    if (value > 0) classes.push("yes");
    if (value < 0) classes.push("no");
    if (this.chosen.has(place)) classes.push("chosen");
    if (place === this.cursor) classes.push("cursor");
    if (this.hooks.below(place)) classes.push("below");
    const wanted = classes.join(" ");
    if (cell.box.className !== wanted) cell.box.className = wanted;
    cell.box.setAttribute("aria-selected", this.chosen.has(place));
    cell.box.setAttribute("aria-setsize", this.rows.length);
    cell.box.setAttribute("aria-posinset", place + 1);
    if (item) this.label(cell, item);
  }

  label(cell, item) {
    const marks = this.hooks.marks(item.id);
    const text = marks.map((mark) => `${mark.value > 0 ? "\u2713" : "\u2717"} ${mark.label}`).join(", ");
    if (cell.text === text && cell.itemId === item.id) return;
    cell.text = text;
    cell.itemId = item.id;
    cell.marks.replaceChildren(
      ...marks.slice(0, 4).map((mark) =>
        el("b", { className: `mark hue-${mark.number % 9} ${mark.value > 0 ? "holds" : "fails"}`, title: mark.label },
          `${mark.value > 0 ? "\u2713" : "\u2717"} ${mark.label}`)),
    );
    cell.box.title = `${item.title}\n${item.id}\n${clock(item.begin)}`;
  }

  // Requests unknown items of the visible cells, one block at a time.
  async fetch() {
    if (!this.range) return;
    const [from, to] = this.range;
    for (let block = Math.floor(from / BLOCK); block * BLOCK < to; block++) {
      const start = block * BLOCK;
      const rows = this.rows.slice(start, start + BLOCK).filter((row) => !this.items.has(row));
      if (!rows.length || this.asked.has(block)) continue;
      this.asked.add(block);
      this.load(block, rows, this.generation);
    }
  }

  async load(block, rows, generation) {
    try {
      const found = await post("/api/items", { level: this.hooks.level(), rows });
      if (generation !== this.generation) return;
      if (this.items.size > MAX_ITEMS) {
        this.items.clear();
        this.asked.clear();
      }
      for (const item of found) this.items.set(item.row, item);
      this.draw();
      if (rows.includes(this.rows[this.cursor])) this.hooks.moved?.(this.cursor);
    } catch (error) {
      this.asked.delete(block);
      if (generation === this.generation) this.hooks.failed?.(error);
    }
  }

  // Clears the cache, whose rows belong to the previous level.
  forget() {
    this.items.clear();
    this.asked.clear();
  }

  item(place = this.cursor) {
    return this.items.get(this.rows[place]) ?? null;
  }

  score(place = this.cursor) {
    return this.scores ? this.scores[place] : null;
  }

  // Moves the cursor; with `extend`, selects the range from the anchor, otherwise clears the selection.
  move(place, extend = false) {
    if (!this.rows.length) return;
    place = Math.max(0, Math.min(place, this.rows.length - 1));
    if (extend) {
      this.anchor ??= this.cursor;
      this.chosen = new Set();
      const [low, high] = [Math.min(this.anchor, place), Math.max(this.anchor, place)];
      for (let one = low; one <= high; one++) this.chosen.add(one);
    } else {
      this.chosen = new Set();
      this.anchor = null;
    }
    this.cursor = place;
    this.reveal();
    this.draw();
    this.hooks.moved?.(place);
  }

  choose(places) {
    this.chosen = new Set(places);
    this.anchor = null;
    this.draw();
  }

  // Targets of a command: the selection, or else the item at the cursor.
  targets() {
    if (this.chosen.size) return [...this.chosen].sort((a, b) => a - b);
    return this.rows.length ? [this.cursor] : [];
  }

  // Returns the items of rows, and requests unknown ones. Rows belong to the level at the time of the
  // call, even if the level changes before the response.
  async known(rows) {
    const level = this.hooks.level();
    const found = new Map(rows.filter((row) => this.items.has(row)).map((row) => [row, this.items.get(row)]));
    const missing = rows.filter((row) => !found.has(row));
    for (let start = 0; start < missing.length; start += 1000) {
      const part = missing.slice(start, start + 1000);
      for (const item of await post("/api/items", { level, rows: part })) found.set(item.row, item);
    }
    return rows.map((row) => found.get(row));
  }

  page() {
    return Math.max(1, Math.floor(this.root.clientHeight / (this.high + GAP))) * this.columns;
  }

  reveal() {
    if (!this.columns) return;
    const top = GAP + Math.floor(this.cursor / this.columns) * (this.high + GAP);
    const view = this.root.scrollTop;
    if (top - GAP < view) this.root.scrollTop = top - GAP;
    else if (top + this.high + GAP > view + this.root.clientHeight) {
      this.root.scrollTop = top + this.high + GAP - this.root.clientHeight;
    }
  }

  clicked(event) {
    const box = event.target.closest(".cell");
    if (!box) return;
    const place = Number(box.id.slice(5));
    if (event.ctrlKey || event.metaKey || this.picking) {
      const chosen = new Set(this.chosen);
      if (!chosen.delete(place)) chosen.add(place);
      this.move(place);
      this.choose(chosen);
    } else {
      this.move(place, event.shiftKey);
    }
    this.root.focus();
  }
}
