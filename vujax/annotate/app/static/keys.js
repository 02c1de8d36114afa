// Keyboard commands; the help dialog shows the same table.

const TYPING = "input:not([type=range], [type=checkbox], [type=radio]), textarea, select";
const OWN_KEYS = { "button, a": /^( |Enter)$/, video: /^( |Enter|Arrow.*|Home|End)$/ };

// Commands are {keys, shown, part, what, run, labels}; a key is `event.key` with an optional Shift+ or
// Ctrl+. They act with the focus in the grid or the details, and, except for those that change `labels`,
// where nothing has the focus. Other controls have only their own keys and Escape.
export function listen(commands) {
  const table = new Map(commands.flatMap((command) => command.keys.map((key) => [key, command])));
  addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.altKey || event.isComposing) return;
    if (document.querySelector("dialog[open]")) return;
    const command = table.get(named(event, table));
    if (!command || !acts(command, event)) return;
    event.preventDefault();
    if (!(command.labels && event.repeat)) command.run(event);
  });
}

function acts(command, event) {
  const { target, key } = event;
  if (key === "Escape") return true;
  if (target.matches(TYPING)) return false;
  if (target === document.body) return !command.labels;
  if (Object.entries(OWN_KEYS).some(([controls, keys]) => target.matches(controls) && keys.test(key))) return false;
  return target.closest("#grid, #detail") !== null;
}

// Digits are read from the physical keys of any layout, unless the typed character is a command
// itself, such as / above the 7.
function named(event, table) {
  const shift = event.shiftKey ? "Shift+" : "";
  if (event.ctrlKey || event.metaKey) return `Ctrl+${shift}${event.key.toLowerCase()}`;
  if (/^[^\w\s]$/.test(event.key) && table.has(event.key)) return event.key;
  const digit = /^Digit(\d)$/.exec(event.code)?.[1];
  if (shift && digit) return `Shift+${digit}`;
  if (shift && /^(Arrow|Home|End|Page)/.test(event.key)) return `Shift+${event.key}`;
  return digit ?? event.key;
}
