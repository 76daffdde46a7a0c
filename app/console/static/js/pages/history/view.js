// The history as it is shown: a block of images as drawing and table, kept up to date while it is live.

import { get } from "../../api.js";
import { scatter } from "../../charts/scatter.js";
import { fill, h } from "../../dom.js";
import { counted } from "../../format.js";
import { keepingFocus } from "../../parts/focus.js";
import { tell } from "../../parts/live.js";
import { every } from "../../parts/polling.js";
import { say } from "../../parts/messages.js";
import { box, empty, failure, loading } from "../../parts/states.js";
import { to } from "../../router.js";
import { can } from "../../session.js";
import { Filters } from "./filters.js";
import { openImage } from "./image.js";
import { List, ROWS } from "./list.js";
import { BLOCK, Stream, TO_REVIEW } from "./stream.js";

const LIVE_S = 5;
const LIVE_MOST = 100;

export class View {
  /**
   * @param {Object} detector
   * @param {URLSearchParams} query of the address.
   * @param {Map<string, string>} words the review that counts, by image.
   * @param {AbortSignal} signal
   */
  constructor(detector, query, words, signal) {
    Object.assign(this, { detector, words, signal });
    this.filters = new Filters(query, { onAsk: () => this.load(), onText: () => this.page(0), onLive: (isOn) => this.live(isOn) });
    this.list = new List(detector.name, words, {
      onChoose: (image) => this.open(image.id),
      onOlder: () => this.turn(1),
      onNewer: () => this.turn(-1),
    });
    this.chart = h("section", { class: "card", aria: { label: "Scores over time" } });
    this.content = h("div", { class: "stack" });
    this.waiting = h("div", { role: "status" });
    this.trouble = h("div", { role: "status" });
    this.watching = new AbortController();
    this.element = h("div", { class: "stack" }, this.waiting, this.filters.element, this.trouble, this.content);
    this.shownImage = null;
    signal.addEventListener("abort", () => this.watching.abort());
  }

  /** Ask for the newest images of the filters. */
  async load() {
    this.asking?.abort();
    this.asking = new AbortController();
    const signal = AbortSignal.any([this.asking.signal, this.signal]);
    fill(this.content, loading());
    try {
      this.stream = new Stream(this.detector.name, this.filters.asked, this.words, signal);
      this.blocks = [await this.stream.next()];
      this.at = 0;
      this.page(0);
    } catch (error) {
      if (!signal.aborted) fill(this.content, failure(error, () => this.load()));
    }
  }

  get block() {
    return this.blocks[this.at];
  }

  /** Show rows of the block from a place on, and its drawing. */
  page(start) {
    if (this.signal.aborted || !this.blocks) return; // a filter that was typed last
    this.start = start;
    this.address();
    if (this.block.length === 0 && this.stream.isAtEnd && this.at === 0) {
      fill(this.content, this.filters.isAny ? this.noneFits() : this.nothing());
      return;
    }
    this.fitting = this.block.filter((image) => this.filters.holds(image));
    keepingFocus(this.content, () => {
      this.drawn();
      this.rows();
      // Put in again, even the same elements would lose the focus and the place they are scrolled to.
      if (this.chart.parentNode !== this.content) fill(this.content, this.chart, this.list.element);
    });
  }

  drawn() {
    if (this.fitting === this.charted) return;
    this.charted = this.fitting;
    const line = this.detector.threshold?.value ?? null;
    fill(this.chart, this.fitting.length
      ? scatter({ images: this.fitting, line, onChoose: (image) => this.open(image.id) })
      : h("p", { class: "muted" }, `No name or group among these ${counted(this.block.length, "image")} holds the text. “Older” looks further back.`));
  }

  rows() {
    this.list.show(this.fitting, this.start, {
      before: this.filters.text.value.trim() ? 0 : this.at * BLOCK,
      isFirst: this.at === 0 && this.start === 0,
      hasMore: this.at + 1 < this.blocks.length || !this.stream.isAtEnd,
    });
  }

  /** Turn over a page of rows; what is beyond the block is asked for. */
  async turn(by) {
    if (this.isTurning) return;
    const start = this.start + by * ROWS;
    if (start >= 0 && start < this.fitting.length) {
      this.start = start;
      this.rows();
      return;
    }
    this.isTurning = true;
    try {
      if (this.at + by === this.blocks.length) this.blocks.push(await this.stream.next());
    } catch (error) {
      if (error.name !== "AbortError") say(error.message, "bad");
      return;
    } finally {
      this.isTurning = false;
    }
    this.at += by;
    const fitting = this.block.filter((image) => this.filters.holds(image)).length;
    this.page(by > 0 ? 0 : Math.max(0, Math.ceil(fitting / ROWS) - 1) * ROWS);
  }

  live(isOn) {
    this.watching.abort();
    tell(this.trouble);
    if (!isOn) return;
    this.watching = new AbortController();
    const { signal } = this.watching;
    const told = (error) => signal.aborted || tell(this.trouble, box("warn", [`${error.message} What is shown is older.`]));
    const again = async () => {
      await this.refresh();
      tell(this.trouble);
    };
    again().catch(told);
    every(() => LIVE_S, again, signal, told);
  }

  /** Take up what was scored since; only who looks at the newest rows sees them move. */
  async refresh() {
    if (!this.blocks || this.at !== 0 || this.start !== 0) return;
    const { stream } = this;
    const newest = await new Stream(this.detector.name, this.filters.asked, this.words, this.watching.signal).next(LIVE_MOST);
    if (stream !== this.stream || this.at !== 0 || this.start !== 0) return;
    const known = new Set(this.block.map(({ id }) => id));
    const fresh = newest.filter(({ id }) => !known.has(id));
    if (fresh.length === 0) return;
    if (fresh.length === LIVE_MOST) {
      await this.load(); // more may have come than were asked for
      return;
    }
    this.blocks[0] = [...fresh, ...this.block];
    this.page(0);
    this.tellWaiting();
  }

  /** Open an image's dialog; the address leads to it. */
  open(id) {
    const beside = (from, by) => {
      const at = (this.fitting ?? []).findIndex((image) => image.id === from);
      return at < 0 ? null : (this.fitting[at + by]?.id ?? null);
    };
    const onShow = (shown) => {
      this.shownImage = shown;
      this.address();
    };
    return openImage({ id, detector: this.detector, beside, signal: this.signal, onShow, onSaid: (review) => this.said(review) });
  }

  said({ image, word }) {
    this.words.set(image, word);
    if (this.fitting) this.rows();
    this.tellWaiting();
    window.dispatchEvent(new CustomEvent("reviewed"));
  }

  /** Say how many images wait for a review; a hint only, the list is there without it. */
  async tellWaiting() {
    if (!can("fit")) return;
    const { detectors } = await get("/v1/traffic", { query: { hours: 1 }, signal: this.signal }).catch(() => ({ detectors: [] }));
    const waiting = detectors.find(({ detector }) => detector === this.detector.name)?.to_review ?? 0;
    const show = () => {
      this.filters.clear();
      this.filters.set(TO_REVIEW);
      this.load();
    };
    tell(this.waiting, waiting > 0 && h("div", { class: "box warn row" },
      h("span", {}, `${counted(waiting, "image")} ${waiting === 1 ? "waits" : "wait"} for a review: flagged or uncertain.`),
      h("button", { type: "button", on: { click: show } }, "Show them")));
  }

  /** Keep the address in step, so that it can be passed on; nothing is loaded by it. */
  address() {
    const query = new URLSearchParams([...this.filters.query, ...(this.shownImage ? [["image", this.shownImage]] : [])]).toString();
    window.history.replaceState(null, "", `${to`/detectors/${this.detector.name}/history`}${query ? `?${query}` : ""}`);
  }

  nothing() {
    return empty("Nothing scored yet", "Every image that is scored appears here, newest first, as long as the service keeps it.",
      h("a", { class: "button primary", href: to`/detectors/${this.detector.name}/inspect` }, "Inspect an image"));
  }

  noneFits() {
    const clear = () => {
      this.filters.clear();
      this.load();
    };
    return empty("No such images", "No image that is kept fits the filters.",
      h("button", { type: "button", on: { click: clear } }, "Clear the filters"));
  }
}
