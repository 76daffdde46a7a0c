// The samples of this visit: each is scored by a request of its own, two at a time, in order.

import { path, pause, post } from "../../api.js";
import { h } from "../../dom.js";
import { isOfImages } from "../../parts/kinds.js";
import { Thumbnails } from "./thumbnails.js";

const AT_ONCE = 2;
const TRIES = 5;
const BUSY = [429, 503];
const WAIT_S = 1.5;
// What is wrong with a request and not with its image: the next image would fare no better.
const OF_THE_REQUEST = [0, 401, 403, 404, 409, 429];
const REFUSED_AT_ONCE = 503;

/** One file, its text if it has one, and what is known of it: waiting, scoring, done, failed, or unscored as its request failed. */
export class Item {
  constructor({ file, path: name, text = null }, isImage) {
    this.file = file;
    this.name = name;
    this.text = text;
    this.thumbnail = isImage ? document.createElement("canvas") : h("span", { class: "strip-name small" }, name.split("/").at(-1));
    this.reset();
  }

  reset() {
    this.state = "waiting";
    this.asked = null;
    this.result = null;
    this.version = null;
    this.problem = null;
    this.wasLost = false;
    this.isOutdated = false;
    this.explanation = null;
    this.drawing = null;
    this.reviews = [];
  }

  /** normal, uncertain, anomalous, uncalibrated, invalid, unscored; null until it is known. */
  get verdict() {
    if (this.state === "unscored") return "unscored";
    return this.state === "failed" ? "invalid" : (this.result?.verdict ?? null);
  }
}

export class Items {
  /**
   * @param {Object} detector
   * @param {() => Object} how gives {group, points, allowStale} of the moment an image is sent.
   * @param {AbortSignal} signal
   * @param {(item: Item) => void} onChange called with each item whose state has changed.
   */
  constructor(detector, how, signal, onChange) {
    this.detector = detector;
    this.how = how;
    this.signal = signal;
    this.onChange = onChange;
    this.sending = 0;
    this.isHeld = false;
    this.begin();
  }

  begin() {
    this.all = [];
    this.queue = [];
    this.trouble = null; // the problem that stopped the queue
    this.clearing = new AbortController();
    this.list = AbortSignal.any([this.signal, this.clearing.signal]);
    this.thumbnails = new Thumbnails(this.list);
  }

  add(files) {
    const added = files.map((each) => new Item(each, isOfImages(this.detector)));
    this.all.push(...added);
    this.queue.push(...added);
    if (isOfImages(this.detector)) this.thumbnails.add(added);
    this.next();
    return added;
  }

  clear() {
    this.clearing.abort();
    this.begin();
  }

  /** Those that wait for the service, or whose request failed. */
  get left() {
    return this.all.filter(({ state }) => state === "waiting" || state === "unscored");
  }

  /** Score these anew, after those that wait; what is on its way is asked for again when it is back. */
  again(items) {
    this.trouble = null;
    for (const item of items) {
      if (item.state === "scoring") item.isOutdated = true;
      else if (item.state !== "waiting") this.requeue(item);
    }
    this.next();
  }

  requeue(item) {
    item.reset();
    this.queue.push(item);
    this.onChange(item);
  }

  /** While held nothing is sent; what is on its way comes back. */
  hold(isHeld) {
    this.isHeld = isHeld;
    this.next();
  }

  next() {
    while (!this.isHeld && !this.trouble && this.sending < AT_ONCE && this.queue.length > 0) {
      const item = this.queue.shift();
      this.sending += 1;
      item.state = "scoring";
      item.asked = this.how();
      this.work(item).finally(() => {
        this.sending -= 1;
        if (!this.signal.aborted) this.next();
      });
    }
  }

  async work(item) {
    this.onChange(item);
    const { list } = this;
    try {
      const answer = await this.ask("score", item, list);
      item.version = answer.version;
      [item.result] = answer.results;
      item.problem = item.result.problem;
      item.state = item.problem ? "failed" : "done";
    } catch (error) {
      if (list.aborted) return;
      item.problem = { title: error.title ?? "The request failed", detail: error.message };
      const isOfRequest = OF_THE_REQUEST.includes(error.status) || error.status >= 500;
      item.state = isOfRequest ? "unscored" : "failed";
      item.wasLost = isOfRequest && (error.status === 0 || (error.status >= 500 && error.status !== REFUSED_AT_ONCE));
      if (isOfRequest) this.trouble = item.problem;
    }
    if (item.isOutdated && item.state !== "unscored") this.requeue(item);
    else this.onChange(item);
  }

  /** Return where a sample is odd and what it is compared to; asked once. */
  async explain(item, signal) {
    item.explanation ??= await this.ask("explain", item, signal);
    return item.explanation;
  }

  /** Return a picture of a sample that is no image, painted where it is odd; null if that cannot be told. */
  async draw(item, signal) {
    if (!item.explanation.result.places) return null;
    item.drawing ??= await this.ask("map", item, signal);
    return item.drawing;
  }

  async ask(what, item, signal = this.signal) {
    const { group, points, allowStale } = item.asked;
    const query = { group, allow_stale: allowStale || null, version: item.version }; // null until it is scored
    for (let tries = 1; ; tries += 1) {
      const body = new FormData();
      body.append("images", item.file, item.name);
      if (item.text) body.append("texts", await textOf(item.text));
      if (points) body.append("mask", JSON.stringify([points]));
      try {
        return await post(`${path`/v1/detectors/${this.detector.name}`}/${what}`, { query, body, signal });
      } catch (error) {
        if (!BUSY.includes(error.status) || tries === TRIES) throw error;
      }
      await pause(WAIT_S * tries, signal);
    }
  }
}

/** Return what is in a file of text; what is no UTF-8 is refused, as it is where it is learned from. */
async function textOf(file) {
  const content = await file.arrayBuffer();
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(content);
  } catch {
    throw Object.assign(new Error(`${file.name} is no text in UTF-8: save it as UTF-8.`), { status: 422, title: "Unreadable text" });
  }
}
