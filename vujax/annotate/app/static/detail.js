// Details of the current item: its keyframe, adjacent shots, and a player that starts at the item.

import { clock, el, debounce } from "./dom.js";
import { film, get, picture } from "./server.js";

export class Detail {
  // hooks: marks(id)
  constructor(stage, facts, hooks) {
    this.stage = stage;
    this.facts = facts;
    this.hooks = hooks;
    this.item = null;
    this.load = debounce(120, (item) => this.fetch(item));
  }

  show(item) {
    if (item?.id === this.item?.id) return;
    this.item = item;
    this.known = null;
    this.stop();
    this.draw();
    if (item) this.load(item);
  }

  async fetch(item) {
    if (item !== this.item) return;
    try {
      const known = await get("/api/item", { id: item.id });
      if (item !== this.item) return;
      this.known = known;
    } catch (error) {
      this.known = { error: error.message };
    }
    if (!this.player) this.draw();
    if (this.wanted) this.play();
  }

  draw() {
    const { item, known } = this;
    if (!item) {
      this.stage.replaceChildren();
      this.facts.replaceChildren(el("p", { className: "hint" }, "No current item."));
      return;
    }
    this.image(item.picture);
    const span = item.end > item.begin ? ` \u2013 ${clock(item.end)} (${(item.end - item.begin).toFixed(1)} s)` : "";
    this.marks = el("p", { className: "item-labels" });
    this.facts.replaceChildren(
      el("h2", {}, item.title),
      el("p", { className: "where" }, el("b", {}, clock(item.begin)), span),
      el("p", { className: "id" }, item.id),
      this.marks,
      ...(known ? this.more(known) : []),
    );
    this.refresh();
  }

  image(id) {
    this.stage.replaceChildren(id ? el("img", { src: picture(id), alt: "" }) : el("p", { className: "hint" }, "No keyframe"));
  }

  refresh() {
    if (!this.item || !this.marks) return;
    this.marks.replaceChildren(...this.hooks.marks(this.item.id).map((mark) =>
      el("b", { className: `mark hue-${mark.number % 9} ${mark.value > 0 ? "holds" : "fails"}` },
        `${mark.value > 0 ? "\u2713" : "\u2717"} ${mark.label}`)));
  }

  more(known) {
    if (known.error) return [el("p", { className: "missing" }, known.error)];
    const inside = new Set(known.pictures);
    const strip = known.strip.map((shot) =>
      el("li", { className: shot.begin < known.end && shot.end > known.begin ? "here" : "" },
        button(`Play from ${clock(shot.begin)}`, () => this.start(shot.begin),
          shot.picture ? el("img", { src: picture(shot.picture), alt: "", loading: "lazy" }) : el("span", { className: "none" }),
          el("span", {}, clock(shot.begin)))));
    const frames = known.pictures.length > 1 && known.level !== "frame"
      ? [el("h3", {}, "Keyframes"),
        el("ol", { className: "strip wide" }, ...[...inside].slice(0, 12).map((id, number) => el("li", {},
          button(`Show keyframe ${number + 1}`, () => this.enlarge(id), el("img", { src: picture(id), alt: "", loading: "lazy" })))))]
      : [];
    const facts = Object.entries(known.film.facts).map(([name, value]) =>
      [el("dt", {}, name.replaceAll("_", " ")), el("dd", {}, Array.isArray(value) ? value.join(", ") : String(value))]);
    return [
      known.film.missing
        ? el("p", { className: "missing" }, `The film is not available: ${known.film.missing}`)
        : el("p", { className: "hint" }, el("kbd", {}, "Space"), " plays from here"),
      ...frames,
      el("h3", {}, "Neighboring shots"),
      el("ol", { className: "strip" }, ...strip),
      el("dl", {}, ...facts.flat()),
    ];
  }

  // Plays from the start of the item, or pauses; playback pauses at the end of a shot or scene.
  toggle() {
    if (this.player) {
      if (this.player.paused) this.player.play().catch(() => {});
      else this.player.pause();
    } else if (this.known) {
      this.play();
    } else {
      this.wanted = true; // starts when the item is loaded
    }
  }

  // Plays from a time, by default the start of the item.
  start(at) {
    this.stop();
    if (this.known) this.play(at);
    else this.wanted = true;
  }

  enlarge(id) {
    this.stop();
    this.image(id);
  }

  play(at = this.item?.begin) {
    this.wanted = false;
    if (!this.item || !this.known?.film || this.known.film.missing) return;
    const end = at >= this.item.begin && at < this.item.end ? this.item.end : 0;
    const player = el("video", { src: film(this.known.film.id), controls: true, preload: "metadata" });
    player.addEventListener("loadedmetadata", () => {
      player.currentTime = at;
      player.play().catch(() => {});
    }, { once: true });
    player.addEventListener("timeupdate", () => {
      if (end && !player.paused && player.currentTime >= end && !player.past) {
        player.past = true; // only once: then playback continues
        player.pause();
      }
    });
    player.addEventListener("error", () => {
      this.stop();
      this.stage.append(el("p", { className: "missing" }, "This browser cannot play the film: its container or codec is not supported."));
    });
    this.player = player;
    this.stage.replaceChildren(player);
  }

  stop() {
    this.wanted = false;
    if (!this.player) return;
    this.player.pause();
    this.player.removeAttribute("src");
    this.player.load();
    this.player = null;
    if (this.item) this.image(this.item.picture);
  }
}

function button(label, run, ...children) {
  const made = el("button", { type: "button", title: label, "aria-label": label }, ...children);
  made.addEventListener("click", run);
  return made;
}
