// Scored images newest first, a block at a time; what waits for a review is joined of two lists.

import { get, path } from "../../api.js";

export const BLOCK = 1000;
const MOST_REQUESTS = 10;
const MOST_REVIEWS = 10;
export const TO_REVIEW = "to_review";
const WAITING = ["anomalous", "uncertain"];

/** Reads the history as one list, by verdict and time; `reviewed` is asked whether an image was. */
export class Stream {
  constructor(name, { verdict, since, until }, reviewed, signal) {
    this.name = name;
    this.range = { since, until };
    this.signal = signal;
    this.isWanted = verdict === TO_REVIEW ? (image) => !reviewed.has(image.id) : () => true;
    this.lists = (verdict === TO_REVIEW ? WAITING : [verdict]).map((each) => ({ verdict: each, waiting: [], cursor: null, isAtEnd: false }));
  }

  get isAtEnd() {
    return this.lists.every(({ waiting, isAtEnd }) => waiting.length === 0 && isAtEnd);
  }

  /** Return the next images, so many at most; fewer if much has to be looked through. */
  async next(most = BLOCK) {
    const found = [];
    for (let asked = 0; found.length < most && !this.isAtEnd;) {
      const dry = this.lists.filter(({ waiting, isAtEnd }) => waiting.length === 0 && !isAtEnd);
      if (asked + dry.length > MOST_REQUESTS) break;
      asked += dry.length;
      await Promise.all(dry.map((list) => this.read(list, most)));
      this.take(found, most);
    }
    return found;
  }

  /** Take the newest of all lists, until one of them has to be read on. */
  take(found, most) {
    while (found.length < most) {
      const full = this.lists.filter(({ waiting }) => waiting.length > 0);
      if (full.length === 0 || this.lists.some(({ waiting, isAtEnd }) => waiting.length === 0 && !isAtEnd)) return;
      const image = full.reduce((one, other) => (isNewer(other.waiting[0], one.waiting[0]) ? other : one)).waiting.shift();
      if (this.isWanted(image)) found.push(image);
    }
  }

  async read(list, limit) {
    const query = { ...this.range, verdict: list.verdict, cursor: list.cursor, limit };
    const { images, next } = await get(path`/v1/detectors/${this.name}/history`, { query, signal: this.signal });
    list.waiting.push(...images);
    list.cursor = next;
    list.isAtEnd = next === null;
  }
}

function isNewer(one, other) {
  return one.at > other.at || (one.at === other.at && one.id > other.id);
}

/** Return the word that counts of each reviewed image, by its id; the latest ten thousand words. */
export async function reviewed(name, signal) {
  const words = new Map();
  let cursor = null;
  for (let i = 0; i < MOST_REVIEWS; i += 1) {
    const { reviews, next } = await get("/v1/reviews", { query: { detector: name, limit: 1000, cursor }, signal });
    for (const { image, word } of reviews) if (!words.has(image)) words.set(image, word);
    cursor = next;
    if (cursor === null) break;
  }
  return words;
}
