// The last lines of an audit that the service reads forward only: a window from behind that widens.

import { get } from "../../api.js";

const MOST = 1000; // lines in an answer

/**
 * Return the newest lines of a subject ("" is any) before a sequence number, newest first.
 * There may be gaps between numbers, and a subject has few of them: a window of numbers that holds
 * too few lines is made four times as wide.
 */
export async function newest({ subject, before, wanted, signal }) {
  const end = Number.isFinite(before) ? before : await beyond(subject, signal);
  for (let width = wanted; ; width *= 4) {
    const after = Math.max(0, end - 1 - width);
    const found = await between(after, end, subject, signal);
    if (found.length >= wanted || after === 0) return found.slice(-wanted).toReversed();
  }
}

/** Return a number beyond which there is no line. */
async function beyond(subject, signal) {
  for (let after = MOST; ; after *= 2) {
    const { lines } = await get("/v1/audit", { query: { after, limit: 1, subject }, signal });
    if (lines.length === 0) return after + 1;
  }
}

async function between(after, end, subject, signal) {
  const found = [];
  for (let next = after; next !== null;) {
    const page = await get("/v1/audit", { query: { after: next, limit: MOST, subject }, signal });
    found.push(...page.lines.filter((line) => line.sequence < end));
    next = (page.lines.at(-1)?.sequence ?? end) < end ? page.next : null;
  }
  return found;
}
