// DOM helpers. Strings always become text, never markup.

export const $ = (id) => document.getElementById(id);

// Creates an element with properties and children; strings become text.
export function el(name, properties = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (key in element && key !== "list" && key !== "role") element[key] = value;
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

export const count = (number) => number.toLocaleString("en");

export const many = (number, thing) => `${count(number)} ${thing}${number === 1 ? "" : "s"}`;

// Formats seconds as minutes, seconds and tenths, with hours where needed.
export function clock(seconds) {
  const tenths = Math.round(Math.abs(seconds) * 10);
  const hours = Math.floor(tenths / 36000);
  const minutes = Math.floor(tenths / 600) % 60;
  const rest = ((tenths % 600) / 10).toFixed(1);
  const sign = seconds < 0 ? "-" : "";
  return sign + (hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest.padStart(4, "0")}`
    : `${minutes}:${rest.padStart(4, "0")}`);
}

export const percent = (share) => `${(100 * share).toFixed(1)}%`;

export function say(text) {
  $("say").textContent = text;
}

// Shows a message until the next one; an empty message hides it.
export function note(text, kind = "info") {
  const place = $("note");
  place.textContent = text;
  place.className = kind;
  place.hidden = !text;
}

// Gives a toolbar its own keys: arrows, Home and End move the focus between its buttons, of which Tab
// reaches the last focused one.
export function toolbar(root) {
  const buttons = () => [...root.querySelectorAll("button:not([hidden])")];
  root.addEventListener("focusin", (event) => {
    for (const button of buttons()) button.tabIndex = button === event.target ? 0 : -1;
  });
  root.addEventListener("keydown", (event) => {
    const all = buttons();
    const at = all.indexOf(event.target);
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: -1 }[event.key];
    if (at < 0 || to === undefined) return;
    event.preventDefault();
    all.at(to % all.length).focus();
  });
}

// Debounces a function.
export function debounce(milliseconds, call) {
  let timer = 0;
  return (...given) => {
    clearTimeout(timer);
    timer = setTimeout(() => call(...given), milliseconds);
  };
}
