// Score threshold: histogram of scores, number of items above, and estimated precision.

import { $, count, percent, debounce } from "./dom.js";
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
    this.later = debounce(150, () => this.estimate());
    new ResizeObserver(() => this.draw()).observe(this.slider);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  // Shows a new ranking; the threshold stays if the scores are comparable to the previous ones.
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
      this.value = low + (high - low) * initialThreshold(counts);
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
    if (!label) parts.push("Add a label to estimate the precision.");
    else if (!reviewed.reviewed) parts.push("None reviewed yet.");
    else parts.push(`Reviewed: ${words(reviewed)} \u2014 not a random sample, so likely optimistic.`);
    if (sample) {
      const open = sample.items - sample.reviewed;
      const about = `at or above ${this.sampled.threshold.toFixed(3)}`;
      parts.push(sample.reviewed
        ? `Random sample ${about}: ${words(sample)}${open ? `, ${open} still to review` : ", fully reviewed"}.`
        : `Random sample ${about}: ${sample.items} items to review.`);
    }
    $("estimate").textContent = parts.join(" ");
  }
}

const words = ({ right, reviewed, estimate, low, high }) =>
  `precision ${percent(estimate)} (${right} of ${reviewed}; 95% interval ${percent(low)} to ${percent(high)})`;

// Initial threshold, as a share of the score range: 5% of the items are above it.
function initialThreshold(counts) {
  const all = counts.reduce((sum, one) => sum + one, 0);
  let seen = 0;
  for (let bin = counts.length - 1; bin > 0; bin--) {
    seen += counts[bin];
    if (seen >= all / 20) return bin / counts.length;
  }
  return 0.5;
}
