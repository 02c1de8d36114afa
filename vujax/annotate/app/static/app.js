// Entry point of the labeling page: connects its parts and defines the keyboard commands.

import { Detail } from "./detail.js";
import { exporting, help, line } from "./dialogs.js";
import { $, count, el, many, note, debounce, say, toolbar } from "./dom.js";
import { Grid } from "./grid.js";
import { listen } from "./keys.js";
import { Labels } from "./labels.js";
import { Query } from "./query.js";
import { get, post } from "./server.js";
import { Threshold } from "./threshold.js";

const LEVELS = { frame: "Frames", shot: "Shots", scene: "Scenes" };
const NEW = "\u0000new";
const SAMPLE = 50;

let about, asked, latest, searched, store;
let running = 0; // searches whose results are not shown yet
let actions = 0; // keys other than Enter, and clicks
let strayEnter = false; // the last key was an Enter outside the items
let view = "results"; // or "sample"
let result = { rows: [], scores: null, more: [], items: 0, of: 0, notes: [], level: null, words: "" };

const labels = new Labels($("labels"), $("saved"), {
  author: () => $("author").value.trim(),
  changed: () => {
    grid.draw();
    detail.refresh();
    threshold.later();
    keep();
  },
});
const query = new Query({ search: () => search() });
const threshold = new Threshold({
  ask: () => asked,
  label: () => labels.active,
  changed: () => grid.draw(),
});
const detail = new Detail($("stage"), $("facts"), { marks: (id) => labels.marks(id) });
const grid = new Grid($("grid"), {
  level: () => result.level,
  marks: (id) => labels.marks(id),
  active: (id) => labels.value(id),
  below: (place) => view === "results" && threshold.below(grid.score(place)),
  moved: () => {
    detail.show(grid.item());
    keep();
  },
  selected: (number) => {
    $("selected").textContent = number ? `${count(number)} selected` : "";
    $("unpick").hidden = !number;
    if (number) say($("selected").textContent);
  },
  play: () => play(() => detail.start()),
  failed: (error) => note(error.message, "error"),
});
const narrow = matchMedia("(max-width: 900px)");

// State restored after a reload: the query and the position in its results.
const keep = debounce(250, () => {
  if (!store || view !== "results") return;
  const saved = { ...query.save(), set: labels.set, label: labels.active, names: labels.names, at: grid.cursor };
  try {
    localStorage.setItem(store, JSON.stringify(saved));
  } catch { /* storage may be disabled */ }
});

function kept() {
  try {
    return JSON.parse(localStorage.getItem(store)) ?? {};
  } catch {
    return {};
  }
}

// Runs work that ends with other results; until then, nothing is labeled.
async function replacing(work) {
  running += 1;
  document.body.classList.add("busy");
  try {
    await work();
  } catch (error) {
    note(error.message, "error");
  } finally {
    running -= 1;
    document.body.classList.toggle("busy", running > 0);
  }
}

const search = (place = 0) => (searched = replacing(async () => {
  const mine = query.ask(labels.set, labels.active);
  const words = $("words").value.slice(0, 1000);
  latest = mine;
  query.show(labels.active);
  try {
    const found = await post("/api/search", mine);
    if (mine === latest) show({ ...found, level: mine.level, words }, { ...mine, at: found.at }, place);
  } catch (error) {
    if (mine === latest) throw error;
  }
}));

function show(found, ask, place) {
  if (found.level !== result.level) grid.forget();
  result = found;
  asked = ask;
  view = "results";
  grid.set(found, place);
  threshold.set(found.histogram, asked);
  grid.draw(); // with the items below the new threshold
  note(found.notes.join(" "));
  tell();
}

function tell() {
  const shown = grid.length;
  const folded = result.items - result.rows.length;
  const parts = [many(shown, result.level)];
  if (view === "sample") parts.push(`drawn at random from ${count(threshold.sampled.items)}; q returns to the results`);
  else if (folded) parts.push(`${count(folded)} near-duplicates hidden`);
  if (view === "results" && result.items < result.of) parts.push(`of ${count(result.of)}`);
  $("count").textContent = parts.join(", ");
  $("empty").hidden = shown > 0;
  $("grid").hidden = !shown;
  $("empty").textContent = asked.status === "open" && !asked.where
    ? "All items are reviewed."
    : "No items match. Change the filter, or show all items.";
  say($("count").textContent);
}

// Labels the targets; without a label, asks for one first.
function mark(label, value) {
  const places = grid.targets();
  if (running) note("Nothing was labeled: the search is still running.");
  if (running || !places.length) return;
  // Capture the state now: a user who is faster than the server must not label an item twice.
  const items = grid.known(places.map((place) => grid.rows[place]));
  const context = {
    scores: places.map((place) => grid.score(place)),
    query: result.words,
    sampled: view === "sample",
  };
  const decide = (name) => {
    labels.mark(items, places.length, name, value, context);
    grid.sticky = false;
    grid.move(places.at(-1) + 1);
  };
  if (label) decide(label);
  else if (value) newLabel(decide);
}

// Labels as positive, but not with an Enter that follows one elsewhere, such as that of a search.
function enter() {
  if (strayEnter) note("Nothing was labeled: the Enter before was for another control. Press y for yes.");
  else mark(labels.active, 1);
}

const numbered = (number, value) => {
  const label = labels.names[number];
  if (label === undefined) {
    newLabel();
    return;
  }
  labels.activate(label);
  mark(label, value);
};

function newLabel(then = () => {}) {
  line("New label", "Label name", {}, (label) => {
    if (!label || /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(label)) throw new Error("A label must be one line of text.");
    labels.add(label);
    then(label);
  });
}

function newSet() {
  line("New label set", "Name (letters, digits, - and _)", { pattern: "[A-Za-z0-9][A-Za-z0-9_\\-]{0,47}", maxLength: 48 }, async (name) => {
    await openSet(name);
  });
}

async function openSet(name, extra = []) {
  await labels.open(name, extra);
  if (!about.sets.includes(name)) about.sets.push(name);
  showSets();
  keep();
}

function showSets() {
  $("set").replaceChildren(
    ...about.sets.sort().map((name) => el("option", { value: name, selected: name === labels.set }, name)),
    el("option", { value: NEW }, "New label set \u2026"));
}

function showLevels() {
  $("levels").append(...about.levels.map((name) => el("label", {},
    el("input", { type: "radio", name: "level", value: name, checked: name === query.level }), el("span", {}, LEVELS[name]))));
}

async function setLevel(name) {
  if (!about.levels.includes(name) || name === query.level) return;
  query.level = name;
  query.forgetExamples();
  document.querySelector(`[name=level][value=${name}]`).checked = true;
  showColumns().catch(() => {});
  await search();
}

async function showColumns() {
  const { columns } = await get("/api/columns", { level: query.level });
  $("columns").replaceChildren(...columns.map((name) => el("option", { value: name })));
  $("where").title = `Columns: ${columns.join(", ")}`;
}

const example = (wanted) => replacing(async () => {
  const items = await grid.known(grid.targets().map((place) => grid.rows[place]));
  if (!items.length) return;
  query.example(items, wanted);
  await search();
});

// Ranks by all decisions about the active label.
const learn = () => replacing(async () => {
  query.learn = true;
  await labels.order;
  await labels.send();
  await search();
});

const draw = () => replacing(async () => {
  await searched;
  if (threshold.value === null || view === "sample") return;
  const drawn = await post("/api/sample", { ask: asked, threshold: threshold.value, count: SAMPLE });
  view = "sample";
  threshold.sampled = { ...drawn, threshold: threshold.value };
  grid.set({ rows: drawn.rows, scores: drawn.scores, more: [] });
  threshold.later();
  note(`Random sample of items at or above ${threshold.value.toFixed(3)}: review all of them (y or n) for an unbiased estimate.`);
  tell();
});

function back() {
  if (view !== "sample") return;
  view = "results";
  grid.set(result);
  note("");
  tell();
}

function toggle(id) {
  $(id).checked = !$(id).checked;
  search();
}

function only(status) {
  $("status").value = $("status").value === status ? "all" : status;
  search();
}

// Shows the image and the facts of the current item: beside the items, or over them in a narrow window.
function details(shown) {
  document.body.dataset.detail = shown ? (narrow.matches ? "drawer" : "side") : "bar";
  $("details").setAttribute("aria-expanded", shown);
}

function play(run) {
  if (document.body.dataset.detail === "bar") details(true);
  run();
}

// Lets clicks and taps select items.
function pick(picking) {
  grid.picking = picking;
  $("pick").setAttribute("aria-pressed", picking);
}

function escape() {
  grid.choose([]);
  grid.sticky = false;
  pick(false);
  if (document.body.dataset.detail === "drawer") details(false);
  detail.stop();
  document.activeElement.blur(); // the grid is hidden where there are no results
  $("grid").focus();
}

const step = (by, extend) => grid.move(grid.cursor + by(), extend || grid.sticky);
const move = (keys, shown, what, by) => [
  { keys, shown, part: "Move", what, run: () => step(by, false) },
  { keys: keys.map((key) => (key.length > 1 ? `Shift+${key}` : key.toUpperCase())), shown: [], part: "", what: "", run: () => step(by, true) },
];
const command = (part, key, what, run, ...more) =>
  ({ keys: [key, ...more], shown: [key === " " ? "Space" : key, ...more], part, what, run, labels: part === "Label" });

const COMMANDS = [
  ...move(["ArrowLeft", "h"], ["\u2190", "h"], "left", () => -1),
  ...move(["ArrowRight", "l"], ["\u2192", "l"], "right", () => 1),
  ...move(["ArrowUp", "k"], ["\u2191", "k"], "up", () => -grid.columns),
  ...move(["ArrowDown", "j"], ["\u2193", "j"], "down", () => grid.columns),
  ...move(["PageUp"], ["PageUp"], "page up", () => -grid.page()),
  ...move(["PageDown"], ["PageDown"], "page down", () => grid.page()),
  ...move(["Home"], ["Home"], "first item", () => -grid.length),
  ...move(["End"], ["End"], "last item", () => grid.length),
  { keys: [], shown: ["Shift", "move"], part: "Select", what: "select a range", run() {} },
  command("Select", "v", "start or end a range", () => {
    grid.sticky = !grid.sticky;
    if (grid.sticky) grid.move(grid.cursor, true);
  }),
  { keys: ["Ctrl+a"], shown: ["Ctrl", "a"], part: "Select", what: "select all", run: () => grid.choose(grid.rows.keys()) },
  command("Select", "Escape", "clear the selection; focus the grid", escape),
  { keys: [], shown: ["1", "\u2026", "9"], part: "Label", what: "yes for a label", run() {} },
  { keys: [], shown: ["Shift", "1 \u2026 9"], part: "Label", what: "no for a label", run() {} },
  ...Array.from({ length: 9 }, (_, number) => [
    { keys: [`${number + 1}`], shown: [], part: "", what: "", labels: true, run: () => numbered(number, 1) },
    { keys: [`Shift+${number + 1}`], shown: [], part: "", what: "", labels: true, run: () => numbered(number, -1) },
  ]).flat(),
  command("Label", "y", "active label: yes", () => mark(labels.active, 1)),
  command("Label", "Enter", "active label: yes", enter),
  command("Label", "n", "active label: no", () => mark(labels.active, -1)),
  command("Label", "0", "clear the active label", () => mark(labels.active, 0), "Backspace"),
  command("Label", "u", "undo", () => labels.undo(), "Ctrl+z"),
  command("Label", "U", "redo", () => labels.redo(), "Ctrl+Shift+z", "Ctrl+y"),
  { ...command("Label", ".", "add a label", () => newLabel()), labels: false },
  command("Search", "/", "focus the query", () => $("words").focus()),
  command("Search", "f", "focus the filter", () => $("where").focus()),
  command("Search", "m", "more like this", () => example(true)),
  command("Search", "x", "less like this", () => example(false)),
  command("Search", "r", "rank by labels", learn),
  command("Search", "c", "clear examples and learned ranking", () => {
    query.forgetExamples();
    query.learn = false;
    search();
  }),
  command("Search", "o", "show only unreviewed items", () => only("open")),
  command("Search", "d", "show only doubtful labels", () => only("doubt")),
  command("Search", "z", "toggle grouping of near-duplicates", () => toggle("fold")),
  command("Search", "F", "frames", () => setLevel("frame")),
  command("Search", "S", "shots", () => setLevel("shot")),
  command("Search", "C", "scenes", () => setLevel("scene")),
  command("View", " ", "play from here, or pause", () => play(() => detail.toggle())),
  command("View", "i", "hide or show details", () => details(document.body.dataset.detail === "bar")),
  command("Estimate", "t", "focus the threshold (arrow keys move it)", () => threshold.slider.focus()),
  command("Estimate", "p", "draw a random sample above it", draw),
  command("Estimate", "q", "return from the sample", back),
  command("General", "e", "export", () => exporting(labels.set, about.formats, labels.names)),
  command("General", "w", "focus the label sets", () => $("set").focus()),
  command("General", "?", "show these shortcuts", () => help(COMMANDS.filter((command) => command.shown.length))),
];

// Searches, and moves the focus from the form to the results: at once, or, where there were none, once
// they are shown, unless the user went on.
async function submit() {
  const before = actions;
  $("grid").focus();
  await replacing(async () => {
    await search();
    if (before === actions && $("query").contains(document.activeElement)) $("grid").focus();
  });
}

function connect() {
  $("query").addEventListener("submit", (event) => {
    event.preventDefault();
    submit();
  });
  for (const kind of ["keydown", "pointerdown"]) {
    addEventListener(kind, (event) => {
      if (event.key !== "Enter") actions += 1;
      strayEnter = event.key === "Enter" && (strayEnter || !event.target.closest("#grid, #detail"));
    }, { capture: true });
  }
  for (const id of ["status", "fold", "tags"]) $(id).addEventListener("change", () => search());
  $("levels").addEventListener("change", (event) => setLevel(event.target.value));
  $("set").addEventListener("change", async () => {
    if ($("set").value !== NEW) await openSet($("set").value);
    else {
      $("set").value = labels.set;
      newSet();
    }
  });
  $("author").addEventListener("change", () => localStorage.setItem("vujax author", $("author").value));
  $("labels").addEventListener("click", (event) => {
    const chip = event.target.closest("button");
    if (chip?.id === "add-label") newLabel();
    else if (chip) labels.activate(chip.dataset.label);
    if (chip && event.detail) $("grid").focus(); // a click of a pointer: labeling goes on in the grid
  });
  $("export").addEventListener("click", () => exporting(labels.set, about.formats, labels.names));
  $("help").addEventListener("click", () => help(COMMANDS.filter((command) => command.shown.length)));
  $("sample").addEventListener("click", draw);
  $("dialog").addEventListener("close", () => $("grid").focus());
  $("actions").addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button?.dataset.key) COMMANDS.find(({ keys }) => keys.includes(button.dataset.key)).run();
    if (button && event.detail) $("grid").focus();
  });
  $("pick").addEventListener("click", () => pick(!grid.picking));
  $("unpick").addEventListener("click", () => grid.choose([]));
  narrow.addEventListener("change", () => details(!narrow.matches));
  toolbar($("labels"));
  toolbar($("actions"));
  listen(COMMANDS);
}

async function begin() {
  about = await get("/api/about");
  store = `vujax curate ${about.catalog}`;
  document.title = `${about.catalog} \u2013 vujax curate`;
  $("name").textContent = about.catalog;
  $("name").title = `${many(about.films, "film")}, embeddings of ${about.encoder}`;
  $("author").value = localStorage.getItem("vujax author") ?? about.author;
  $("tags-box").hidden = !about.tags.length;
  const saved = kept();
  query.restore(saved, about.levels);
  labels.active = saved.label ?? "";
  showLevels();
  details(!narrow.matches);
  connect();
  await openSet(saved.set ?? about.sets[0] ?? "labels", saved.names ?? []);
  for (const label of about.tags) labels.add(label, false);
  showColumns().catch(() => {});
  await search(saved.at ?? 0);
  if (about.mute) note(about.mute);
  if (saved.words || saved.at) $("grid").focus();
  document.body.dataset.ready = "1";
}

begin().catch((error) => note(error.message, "error"));
