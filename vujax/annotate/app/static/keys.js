// Keyboard commands; the help dialog shows the same table.

const TYPING = "input:not([type=range], [type=checkbox], [type=radio]), textarea, select";

// Commands are {keys, shown, part, what, run}; a key is `event.key` with an optional Shift+ or Ctrl+.
export function listen(commands) {
  const table = new Map(commands.flatMap((command) => command.keys.map((key) => [key, command])));
  addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.altKey || event.isComposing) return;
    if (document.querySelector("dialog[open]")) return;
    const typing = event.target.matches?.(TYPING);
    if (typing && event.key !== "Escape") return;
    const slider = event.target.matches?.("[type=range]");
    if (slider && /^(Arrow|Page|Home|End)/.test(event.key)) return;
    if (event.target.matches?.("button, [type=checkbox], a") && /^( |Enter)$/.test(event.key)) return;
    const command = table.get(named(event, table));
    if (!command) return;
    event.preventDefault();
    command.run(event);
  });
}

// Digits are read from the physical keys of any layout, unless the typed character is a command
// itself, such as / above the 7.
function named(event, table) {
  if (!event.ctrlKey && !event.metaKey && /^[^\w\s]$/.test(event.key) && table.has(event.key)) return event.key;
  const digit = /^Digit(\d)$/.exec(event.code)?.[1];
  if (event.ctrlKey || event.metaKey) return `Ctrl+${event.key.toLowerCase()}`;
  if (event.shiftKey && digit) return `Shift+${digit}`;
  if (event.shiftKey && /^(Arrow|Home|End|Page)/.test(event.key)) return `Shift+${event.key}`;
  return digit ?? event.key;
}
