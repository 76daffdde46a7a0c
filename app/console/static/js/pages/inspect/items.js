// The images of this visit: each is scored by a request of its own, two at a time, in order.

import { path, pause, post } from "../../api.js";

const AT_ONCE = 2;
const TRIES = 5;
const BUSY = [429, 503];
const WAIT_S = 1.5;
const THUMBNAIL_PX = 96;

/** One file and what is known of it: waiting, scoring, done or failed. */
export class Item {
  constructor(file, name) {
    this.file = file;
    this.name = name;
    this.thumbnail = document.createElement("canvas");
    this.reset();
  }

  reset() {
    this.state = "waiting";
    this.asked = null;
    this.result = null;
    this.version = null;
    this.problem = null;
    this.explanation = null;
    this.reviews = [];
  }

  /** normal, uncertain, anomalous, uncalibrated, invalid; null until it is known. */
  get verdict() {
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
    this.all = [];
    this.sending = 0;
    this.isHeld = false;
  }

  add(files) {
    const added = files.map(({ file, path: name }) => new Item(file, name));
    this.all.push(...added);
    thumbnails(added, this.signal);
    this.next();
    return added;
  }

  clear() {
    this.all = [];
  }

  /** Score these anew. */
  again(items) {
    for (const item of items) {
      if (item.state === "scoring") continue;
      item.reset();
      this.onChange(item);
    }
    this.next();
  }

  /** While held nothing is sent; what is on its way comes back. */
  hold(isHeld) {
    this.isHeld = isHeld;
    this.next();
  }

  next() {
    while (!this.isHeld && this.sending < AT_ONCE) {
      const item = this.all.find((each) => each.state === "waiting");
      if (!item) return;
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
    try {
      const answer = await this.ask("score", item);
      item.version = answer.version;
      [item.result] = answer.results;
      item.problem = item.result.problem;
      item.state = item.problem ? "failed" : "done";
    } catch (error) {
      if (this.signal.aborted) return;
      item.problem = { title: error.title ?? "The request failed", detail: error.message };
      item.state = "failed";
    }
    this.onChange(item);
  }

  /** Return where an image is odd and what it is compared to; asked once. */
  async explain(item, signal) {
    item.explanation ??= await this.ask("explain", item, signal);
    return item.explanation;
  }

  async ask(what, item, signal = this.signal) {
    const { group, points, allowStale } = item.asked;
    const query = { group, allow_stale: allowStale || null };
    for (let tries = 1; ; tries += 1) {
      const body = new FormData();
      body.append("images", item.file, item.name);
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

/** Draw them one after another, small: a strip of hundreds must not hold as many whole pictures. */
async function thumbnails(items, signal) {
  for (const item of items) {
    if (signal.aborted) return;
    await draw(item);
  }
}

async function draw({ file, thumbnail }) {
  try {
    const picture = await createImageBitmap(file);
    const scale = THUMBNAIL_PX / Math.min(picture.width, picture.height);
    const [width, height] = [picture.width * scale, picture.height * scale];
    thumbnail.width = thumbnail.height = THUMBNAIL_PX;
    thumbnail.getContext("2d").drawImage(picture, (THUMBNAIL_PX - width) / 2, (THUMBNAIL_PX - height) / 2, width, height);
    picture.close();
  } catch {
    // no picture, or one of a kind that the service reads and the browser does not
  }
}
