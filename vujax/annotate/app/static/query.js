// The search request: query, filter and examples.

import { $, el } from "./dom.js";

const WEIGHTED = /^(.*\D):\s*(\d+(?:\.\d*)?|\.\d+)$/s; // same syntax as `vujax search`

// Terms of "a boat; sunset:2; -night".
export function terms(text) {
  return text
    .split(";")
    .map((part) => part.trim())
    .filter(Boolean)
    .map((part) => {
      const against = part.startsWith("-");
      const words = against ? part.slice(1).trim() : part;
      const match = WEIGHTED.exec(words);
      const weight = match ? Number(match[2]) : 1;
      return { text: (match ? match[1] : words).trim(), weight: against ? -weight : weight };
    });
}

export class Query {
  // hooks: search()
  constructor(hooks) {
    this.hooks = hooks;
    this.like = [];
    this.unlike = [];
    this.learn = false;
    this.level = "shot";
    $("terms").addEventListener("click", (event) => {
      const chip = event.target.closest("button");
      if (!chip) return;
      if (chip.dataset.learn) this.learn = false;
      this.like = this.like.filter((id) => id !== chip.dataset.id);
      this.unlike = this.unlike.filter((id) => id !== chip.dataset.id);
      hooks.search();
    });
  }

  ask(set, label) {
    return {
      level: this.level,
      set,
      label,
      terms: terms($("words").value),
      where: $("where").value.trim(),
      status: label ? $("status").value : "all",
      like: this.like,
      unlike: this.unlike,
      learn: this.learn && Boolean(label),
      fold: $("fold").checked,
      tags: $("tags").checked,
    };
  }

  // Adds items as positive or negative examples.
  example(items, wanted) {
    const ids = items.map((item) => item.id);
    this.like = this.like.filter((id) => !ids.includes(id));
    this.unlike = this.unlike.filter((id) => !ids.includes(id));
    if (wanted) this.like.push(...ids);
    else this.unlike.push(...ids);
    this.like = this.like.slice(-200);
    this.unlike = this.unlike.slice(-200);
  }

  // Examples belong to one level.
  forgetExamples() {
    this.like = [];
    this.unlike = [];
  }

  show(label) {
    const parts = terms($("words").value);
    const chips = parts.map(({ text, weight }) =>
      el("span", { className: `term ${weight < 0 ? "against" : ""}` },
        `${weight < 0 ? "not " : ""}${text}`, Math.abs(weight) === 1 ? "" : ` \u00d7${Math.abs(weight)}`));
    const example = (id, wanted) =>
      el("button", { type: "button", className: `term example ${wanted ? "" : "against"}`, title: `Remove ${id}`, "data-id": id },
        `${wanted ? "like" : "unlike"} ${id.length > 34 ? `\u2026${id.slice(-32)}` : id} \u00d7`);
    chips.push(...this.like.map((id) => example(id, true)), ...this.unlike.map((id) => example(id, false)));
    if (this.learn && label) {
      chips.push(el("button", { type: "button", className: "term learned", title: "Stop learning from labels", "data-learn": "1" },
        `learned from \u201c${label}\u201d \u00d7`));
    }
    $("terms").replaceChildren(...(parts.length > 1 || chips.length > parts.length ? chips : []));
  }

  // State to restore after a reload.
  save() {
    return {
      level: this.level,
      words: $("words").value,
      where: $("where").value,
      status: $("status").value,
      fold: $("fold").checked,
      like: this.like,
      unlike: this.unlike,
      learn: this.learn,
    };
  }

  restore(saved, levels) {
    this.level = levels.includes(saved.level) ? saved.level : levels.includes("shot") ? "shot" : levels[0];
    $("words").value = saved.words ?? "";
    $("where").value = saved.where ?? "";
    $("status").value = saved.status ?? "all";
    $("fold").checked = saved.fold ?? true;
    this.like = saved.like ?? [];
    this.unlike = saved.unlike ?? [];
    this.learn = saved.learn ?? false;
  }
}
