// Dialogs: keyboard shortcuts, a new label, a new label set, the export.

import { $, el, many } from "./dom.js";
import { post } from "./server.js";

const ABOUT = {
  csv: "CSV: video, label, start, end, score",
  jsonl: "JSON lines with all columns",
  parquet: "Parquet with all columns",
  coco: "COCO with a box around each image",
  webdataset: "WebDataset with original frames",
  array_record: "ArrayRecord for training with vujax",
  label_studio: "Label Studio tasks and configuration",
  cvat: "CVAT for images 1.1",
  fiftyone: "FiftyOne dataset",
};

function open(title, ...children) {
  const dialog = $("dialog");
  const close = el("button", { type: "button", className: "close", "aria-label": "Close" }, "\u00d7");
  close.addEventListener("click", () => dialog.close());
  dialog.replaceChildren(el("div", { className: "head" }, el("h2", { id: "dialog-title" }, title), close), ...children);
  dialog.className = "";
  if (!dialog.open) dialog.showModal();
  return dialog;
}

export function help(keys) {
  const parts = Map.groupBy ? Map.groupBy(keys, (key) => key.part) : grouped(keys);
  const dialog = open("Keyboard shortcuts", el("div", { className: "keys" }, ...[...parts].map(([part, mine]) =>
    el("section", {}, el("h3", {}, part), el("dl", {}, ...mine.flatMap((key) =>
      [el("dt", {}, ...key.shown.map((one) => el("kbd", {}, one))), el("dd", {}, key.what)]))))));
  dialog.className = "wide";
}

function grouped(keys) {
  const found = new Map();
  for (const key of keys) found.set(key.part, [...(found.get(key.part) ?? []), key]);
  return found;
}

// Asks for one line of text and calls `done` with it; shows the message of an error that it throws.
export function line(title, about, { value = "", pattern = null, maxLength = 100 }, done) {
  const input = el("input", { value, maxLength, autocomplete: "off", spellcheck: false, required: true, id: "line" });
  if (pattern) input.pattern = pattern;
  const wrong = el("p", { className: "wrong", role: "alert" });
  const form = el("form", {}, el("label", {}, about, input), wrong,
    el("div", { className: "buttons" }, el("button", { type: "submit", className: "main" }, "OK ", el("kbd", {}, "Enter"))));
  const dialog = open(title, form);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      await done(input.value.trim());
      dialog.close();
    } catch (error) {
      wrong.textContent = error.message;
    }
  });
  input.focus();
  input.select();
}

// Exports a label set with the chosen format, labels and images; shows the path of the result.
export function exporting(set, formats, labels) {
  const choice = (format, first) => el("label", { className: "choice" },
    el("input", { type: "radio", name: "format", value: format, checked: first }), ABOUT[format] ?? format);
  const kinds = el("fieldset", { className: "choices" }, el("legend", {}, "Format"), ...formats.map((one, place) => choice(one, place === 0)));
  const which = el("fieldset", { className: "choices" }, el("legend", {}, "Labels"),
    ...labels.map((label) => el("label", { className: "choice" },
      el("input", { type: "checkbox", name: "label", value: label, checked: true }), label)));
  const pictures = el("select", { id: "pictures" },
    el("option", { value: "" }, "default of the format"),
    el("option", { value: "keyframes" }, "keyframes of the catalog"),
    el("option", { value: "original" }, "original frames of the films"));
  const said = el("div", { className: "done", role: "status", id: "exported" });
  const button = el("button", { type: "submit", className: "main" }, "Export ", el("kbd", {}, "Enter"));
  const form = el("form", {}, kinds, which, el("label", {}, "Images", pictures), said, el("div", { className: "buttons" }, button));
  open(`Export label set \u201c${set}\u201d`, form);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const chosen = [...form.querySelectorAll("[name=label]:checked")].map((box) => box.value);
    if (labels.length && !chosen.length) {
      said.className = "done wrong";
      said.textContent = "No label is chosen, so nothing was exported. Choose at least one.";
      return;
    }
    button.disabled = true;
    said.className = "done";
    said.textContent = "Exporting \u2026";
    try {
      const found = await post("/api/export", {
        set,
        format: form.querySelector("[name=format]:checked").value,
        labels: chosen.length === labels.length ? undefined : chosen,
        pictures: pictures.value,
      });
      said.replaceChildren(
        el("p", {}, `${many(found.labels, "label")} exported to `, el("code", {}, found.path)),
        ...found.notes.map((one) => el("p", { className: "hint" }, one)),
        ...(found.file ? [el("a", { href: `/export/${encodeURIComponent(found.file)}`, download: found.file }, "Download the file")] : []));
    } catch (error) {
      said.className = "done wrong";
      said.textContent = error.message;
    } finally {
      button.disabled = false;
    }
  });
  form.querySelector("[name=format]").focus();
}
