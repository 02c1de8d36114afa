// Elements without markup: text is text, whatever is in it.

export const $ = (id) => document.getElementById(id);

// An element with properties and children; strings become text.
export function el(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (key in made && key !== "list" && key !== "role") made[key] = value;
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return made;
}

export const count = (number) => number.toLocaleString("en");

export const many = (number, thing) => `${count(number)} ${thing}${number === 1 ? "" : "s"}`;

// Minutes and seconds with a tenth; hours before them where there are any.
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

// A sentence that stays until the next one; an empty one hides it.
export function note(text, kind = "info") {
  const place = $("note");
  place.textContent = text;
  place.className = kind;
  place.hidden = !text;
}

// Calls once things have been quiet for a while.
export function quietly(milliseconds, call) {
  let timer = 0;
  return (...given) => {
    clearTimeout(timer);
    timer = setTimeout(() => call(...given), milliseconds);
  };
}
