// The place where samples are looked at: the strip, the chosen one with its evidence, and the keys.

import { fill, h } from "../../dom.js";
import { pause } from "../../api.js";
import { counted } from "../../format.js";
import { leftOut, paired, sorted } from "../../parts/files.js";
import { tell } from "../../parts/live.js";
import { say } from "../../parts/messages.js";
import { reviews } from "../../parts/reviews.js";
import { box, failure, loading } from "../../parts/states.js";
import { contributions, LOST, nearest, refused, timings, verdict } from "./details.js";
import { Drawn } from "./drawn.js";
import { Items } from "./items.js";
import { Picture } from "./picture.js";
import { places } from "./places.js";
import { Region } from "./region.js";
import { Strip } from "./strip.js";

const SETTLE_S = 0.12;
const SLICE = 50;
const OF_IMAGES = [["h", "heatmap on or off"], ["o", "outline on or off"]];

export class Bench {
  /**
   * @param {Object} detector
   * @param {Object} samples what it judges, as `kindOf` tells it.
   * @param {() => {group: string, allowStale: boolean}} how samples are judged from now on.
   * @param {AbortSignal} signal
   */
  constructor(detector, samples, how, signal) {
    this.detector = detector;
    this.samples = samples;
    this.how = how;
    this.signal = signal;
    this.region = detector.mask === "request" ? new Region(() => this.useRegion()) : null;
    this.items = new Items(detector, () => ({ ...how(), points: this.region?.points }), signal, (item) => this.changed(item));
    this.items.hold(this.region !== null);
    this.strip = new Strip((item) => this.choose(item), samples);
    this.picture = samples.isImage ? new Picture() : new Drawn(samples);
    this.looking = new AbortController();
    this.side = h("section", { class: "card stack", aria: { label: "Verdict" } });
    this.evidence = h("div", { class: "columns" });
    this.trouble = h("div", { class: "stack tight", role: "alert", hidden: true });
    this.work = h("div", { class: "stack", hidden: true, on: { keydown: (event) => this.key(event) } },
      h("div", { class: "row spread" }, this.strip.told,
        h("button", { type: "button", on: { click: () => this.clear() } }, "Clear the list")),
      this.trouble,
      this.strip.list,
      h("div", { class: "bench" }, this.picture.element, this.side),
      this.evidence,
      keysHelp(samples));
    this.element = h("div", { class: "stack" }, this.region?.element, this.work);
    signal.addEventListener("abort", () => this.leave());
  }

  /** Add files, some at a time: a folder of thousands must not stop the page. */
  async add(files) {
    const { images: found, archives, others } = sorted(files, this.samples);
    const images = this.samples.pairs ? paired(found) : found;
    leftOut([...archives, ...others], this.samples).forEach((each) => say(each, "warn"));
    const { list } = this.items;
    if (images.length > 0) this.region?.on(images[0].file);
    for (let start = 0; start < images.length && !list.aborted; start += SLICE) {
      const added = this.items.add(images.slice(start, start + SLICE));
      this.strip.add(added);
      this.strip.count(this.items.all);
      this.work.hidden = false;
      if (!this.strip.chosen) this.choose(added[0]);
      await new Promise((resolve) => setTimeout(resolve));
    }
  }

  clear() {
    this.looking.abort();
    this.items.clear();
    this.strip.clear();
    this.picture.release();
    this.work.hidden = true;
    this.tellTrouble();
  }

  useRegion() {
    this.items.again(this.items.all);
    this.items.hold(false);
    this.look(this.strip.chosen);
  }

  /** Show an image's state wherever it is shown. */
  changed(item) {
    this.strip.update(item);
    this.strip.count(this.items.all);
    this.tellTrouble();
    const { chosen } = this.strip;
    if (item === chosen || (this.items.trouble && chosen?.state === "waiting")) this.look(chosen);
  }

  /** What stopped the images that are left, and the way on. */
  tellTrouble() {
    const { trouble } = this.items;
    this.trouble.hidden = !trouble;
    if (!trouble) return tell(this.trouble);
    const { left } = this.items;
    const again = () => {
      this.items.again(this.items.left);
      this.strip.choose(this.strip.chosen, true); // the button is gone, and the focus with it
    };
    const wasLost = left.some((each) => each.wasLost);
    return tell(this.trouble,
      box("bad", [trouble.detail, wasLost && LOST].filter(Boolean), trouble.title),
      h("div", {}, h("button", { type: "button", on: { click: again } }, `Try the ${counted(left.length, this.samples.one)} again`)));
  }

  choose(item) {
    this.strip.choose(item);
    this.picture.show(item);
    this.look(item);
  }

  async look(item) {
    this.looking.abort();
    this.looking = new AbortController();
    const { signal } = this.looking;
    fill(this.evidence);
    if (item.state === "failed" || item.state === "unscored") {
      fill(this.side, heading(item), refused(item, () => this.items.again([item])));
      return;
    }
    if (item.state !== "done") {
      const wait = this.items.isHeld ? "It waits for its region: draw it above." : this.items.trouble && item.state === "waiting" && "It waits: see above what stopped it.";
      fill(this.side, heading(item), wait ? h("p", {}, wait) : loading("Scoring"));
      return;
    }
    this.showVerdict(item);
    try {
      if (!item.explanation) {
        fill(this.evidence, loading("Asking where it is odd"));
        await pause(SETTLE_S, signal); // who runs along the strip asks nothing of those passed by
      }
      const explanation = await this.items.explain(item, signal);
      if (signal.aborted) return;
      const drawing = this.samples.isImage ? null : await this.items.draw(item, signal);
      if (signal.aborted) return;
      this.picture.explain(explanation, drawing);
      fill(this.evidence, places(explanation.result, this.samples), contributions(item.result, this.samples),
        nearest(item, this.picture.isShown && this.picture.address, explanation.nearest, this.samples));
    } catch (error) {
      if (!signal.aborted) fill(this.evidence, failure(error, () => this.look(item)));
    }
  }

  showVerdict(item) {
    const { id, verdict: said } = item.result;
    fill(this.side, heading(item),
      verdict(item, this.detector, item.asked.group, this.samples),
      said !== "uncalibrated" && id && reviews({ image: id, verdict: said, said: item.reviews, one: this.samples.one, onSaid: (review) => item.reviews.unshift(review) }),
      timings(item.result));
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const isTyping = event.target.matches("input:not([type=checkbox]), textarea, select");
    const acts = {
      ArrowLeft: () => this.strip.step(-1),
      ArrowRight: () => this.strip.step(1),
      h: () => this.picture.toggle("map"),
      o: () => this.picture.toggle("outline"),
    };
    if (isTyping || !acts[event.key]) return;
    event.preventDefault();
    acts[event.key]();
  }

  leave() {
    this.looking.abort();
    this.picture.release();
    this.region?.release();
  }
}

const heading = (item) => h("h2", {}, item.name);

function keysHelp({ one, isImage }) {
  const shortcuts = [["← →", `the ${one} before or after`], ...(isImage ? OF_IMAGES : [])];
  return h("details", { class: "small" }, h("summary", {}, "Keys"),
    h("p", { class: "muted" }, `While the strip${isImage ? ", the image's controls" : ""} or the verdict have the focus:`),
    h("dl", {}, shortcuts.map(([key, what]) => [h("dt", {}, h("kbd", {}, key)), h("dd", {}, what)])));
}
