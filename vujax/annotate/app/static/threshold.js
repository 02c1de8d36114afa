// The threshold: how scores are spread, what lies above, and how much of that is right.

import { $, count, percent, quietly } from "./dom.js";
import { post } from "./server.js";

export class Threshold {
  // hooks: ask() -> the ranking, changed(), label() -> name, shown() -> {scores}
  constructor(hooks) {
    this.hooks = hooks;
    this.slider = $("threshold");
    this.value = null;
    this.sampled = null; // {rows, threshold, items}
    this.slider.addEventListener("input", () => {
      this.value = Number(this.slider.value);
      this.draw();
      hooks.changed();
      this.later();
    });
    this.later = quietly(150, () => this.estimate());
    new ResizeObserver(() => this.draw()).observe(this.slider);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  // Takes in a new ranking; the threshold stays where scores mean what they meant before.
  set(histogram, ask) {
    this.histogram = histogram;
    const kind = JSON.stringify([ask.level, ask.terms, ask.like, ask.unlike, ask.learn, ask.tags, ask.status === "doubt"]);
    if (kind !== this.kind || ask.learn) this.value = null;
    this.kind = kind;
    const off = !histogram || histogram.low === histogram.high;
    $("cut").hidden = off;
    $("sample").disabled = off;
    $("estimate").textContent = "";
    this.sampled = null;
    if (off) {
      this.value = null;
      return;
    }
    const { low, high, counts } = histogram;
    this.slider.min = low;
    this.slider.max = high;
    this.slider.step = (high - low) / 400;
    if (this.value === null || this.value < low || this.value > high) {
      this.value = low + (high - low) * best(counts);
    }
    this.slider.value = this.value;
    this.draw();
    this.later();
  }

  below(score) {
    return this.value !== null && score !== null && score < this.value;
  }

  draw() {
    const canvas = $("histogram");
    if (!this.histogram || !canvas.clientWidth) return;
    const ratio = devicePixelRatio || 1;
    canvas.width = canvas.clientWidth * ratio;
    canvas.height = canvas.clientHeight * ratio;
    const draw = canvas.getContext("2d");
    const style = getComputedStyle(document.documentElement);
    const { low, high, counts } = this.histogram;
    const most = Math.log1p(Math.max(...counts));
    const wide = canvas.width / counts.length;
    counts.forEach((number, bin) => {
      const score = low + ((bin + 0.5) / counts.length) * (high - low);
      draw.fillStyle = style.getPropertyValue(score >= this.value ? "--accent" : "--track");
      const tall = (Math.log1p(number) / most) * canvas.height;
      draw.fillRect(bin * wide, canvas.height - tall, Math.max(1, wide - ratio), tall);
    });
  }

  async estimate() {
    if (this.value === null) return;
    const asked = this.value;
    try {
      const found = await post("/api/estimate", {
        ask: this.hooks.ask(),
        label: this.hooks.label(),
        threshold: asked,
        rows: this.sampled?.rows ?? [],
      });
      if (asked === this.value) this.say(found);
    } catch (error) {
      $("estimate").textContent = error.message;
    }
  }

  say({ reviewed, sample }) {
    const label = this.hooks.label();
    const parts = [`${count(reviewed.items)} items at or above ${this.value.toFixed(3)}.`];
    if (!label) parts.push("Add a label to estimate how many are right.");
    else if (!reviewed.reviewed) parts.push("None of them is reviewed yet.");
    else parts.push(`Reviewed: ${words(reviewed)} \u2014 chosen by eye, so it tends to flatter.`);
    if (sample) {
      const open = sample.items - sample.reviewed;
      const about = `at or above ${this.sampled.threshold.toFixed(3)}`;
      parts.push(sample.reviewed
        ? `Random sample ${about}: ${words(sample)}${open ? `, ${open} still to review` : ", reviewed to the end"}.`
        : `Random sample ${about}: review its ${sample.items} items.`);
    }
    $("estimate").textContent = parts.join(" ");
  }
}

const words = ({ right, reviewed, estimate, low, high }) =>
  `${right} of ${reviewed} right, ${percent(estimate)} (95%: ${percent(low)} to ${percent(high)})`;

// A first threshold: the share of the scale above which a twentieth of the items lies.
function best(counts) {
  const all = counts.reduce((sum, one) => sum + one, 0);
  let seen = 0;
  for (let bin = counts.length - 1; bin > 0; bin--) {
    seen += counts[bin];
    if (seen >= all / 20) return bin / counts.length;
  }
  return 0.5;
}
