// The row of samples: thumbnail, verdict and score of each; arrow keys go along it.

import { fill, h } from "../../dom.js";
import { capital, count, counted, score } from "../../format.js";
import { tell } from "../../parts/live.js";
import { verdictBadge, word } from "../../parts/verdict.js";

const TELL_MS = 1000;
const STATES = { waiting: "waiting", scoring: "being scored" };

export class Strip {
  /**
   * @param {(item: Object) => void} onChoose
   * @param {{one: string, many: string}} samples what stands in it.
   */
  constructor(onChoose, { one, many }) {
    this.onChoose = onChoose;
    this.one = one;
    this.entries = new Map();
    this.chosen = null;
    this.list = h("ul", { class: "strip", aria: { label: capital(many) } });
    this.told = h("p", { class: "small", role: "status" });
  }

  add(items) {
    for (const item of items) {
      const label = h("span", { class: "strip-words" });
      const button = h("button", { type: "button", tabIndex: -1, on: { click: () => this.onChoose(item) } }, item.thumbnail, label);
      item.thumbnail.setAttribute("aria-hidden", "true");
      this.entries.set(item, { button, label });
      this.list.append(h("li", {}, button));
      this.update(item);
    }
  }

  clear() {
    this.entries.clear();
    this.chosen = null;
    fill(this.list);
  }

  update(item) {
    const entry = this.entries.get(item);
    if (!entry) return;
    const { verdict, result } = item;
    const value = result && verdict && verdict !== "invalid" ? score(result.score, 3) : "";
    const words = [verdict ? word(verdict).toLowerCase() : STATES[item.state], value && `score ${value}`].filter(Boolean).join(", ");
    entry.button.setAttribute("aria-label", `${item.name}: ${words}`);
    entry.button.title = item.name;
    fill(entry.label, verdict ? verdictBadge(verdict) : h("span", { class: "muted small" }, item.state === "scoring" ? "scoring" : "waiting"),
      value && h("span", { class: "number small" }, value));
  }

  /** Say how many there are of what, once a second at most; read out when none is to come. */
  count(items) {
    this.counted = items;
    this.telling ??= setTimeout(() => this.tellCount(this.counted), TELL_MS);
  }

  tellCount(items) {
    this.telling = null;
    const of = (wanted) => items.filter(({ verdict }) => verdict === wanted).length;
    const open = of(null);
    const parts = ["anomalous", "uncertain", "normal", "uncalibrated", "invalid", "unscored"].filter((each) => of(each)).map((each) => `${count(of(each))} ${word(each).toLowerCase()}`);
    this.told.setAttribute("aria-live", open ? "off" : "polite");
    tell(this.told, items.length > 0 && `${counted(items.length, this.one)}: ${[...parts, open && `${count(open)} to come`].filter(Boolean).join(", ")}.`);
  }

  choose(item, isFocused = false) {
    const before = this.entries.get(this.chosen);
    before?.button.removeAttribute("aria-current");
    if (before) before.button.tabIndex = -1;
    this.chosen = item;
    const { button } = this.entries.get(item);
    button.setAttribute("aria-current", "true");
    button.tabIndex = 0;
    button.scrollIntoView({ block: "nearest", inline: "nearest" });
    if (isFocused) button.focus();
  }

  /** Go some places along. */
  step(by) {
    const items = [...this.entries.keys()];
    const next = items[Math.min(items.length - 1, Math.max(0, items.indexOf(this.chosen) + by))];
    if (!next || next === this.chosen) return;
    this.onChoose(next);
    this.entries.get(next).button.focus();
  }
}
