// A day in twenty-four bars: how much was seen, and how much of it was flagged.

import { svg } from "../dom.js";
import { counted } from "../format.js";

const STEP = 10;
const BAR = 8;
const HEIGHT = 40;

/**
 * Return bars of equal parts of a time, oldest first.
 * @param {Array<{images: number, flagged: number}>} parts
 * @param {string} during what time it is, in words.
 * @param {string} [one] what is counted.
 */
export function sparkline(parts, during, one = "image") {
  const most = Math.max(1, ...parts.map((part) => part.images));
  const total = parts.reduce((sum, part) => sum + part.images, 0);
  const label = `${counted(total, one)} in ${during}; at most ${count(most, total)} in one of ${parts.length} equal parts`;
  const bars = parts.map((part, i) => [
    bar(i, part.images / most, 0, "seen"),
    bar(i, part.flagged / most, 0, "flagged"),
  ]);
  return svg("svg", { class: "sparkline", viewBox: `0 0 ${STEP * parts.length} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": label },
    svg("line", { class: "axis", x1: 0, x2: STEP * parts.length, y1: HEIGHT - 0.5, y2: HEIGHT - 0.5 }),
    bars);
}

const count = (most, total) => (total === 0 ? 0 : most);

/** A bar that is there at all is seen. */
function bar(i, share, from, kind) {
  if (share <= from) return null;
  const height = Math.max(1.5, (HEIGHT - 1) * share);
  return svg("rect", { class: kind, x: STEP * i + (STEP - BAR) / 2, y: HEIGHT - 1 - height, width: BAR, height });
}
