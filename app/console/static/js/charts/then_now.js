// How many images were flagged in each hour or day, then and by another line: two bars beside each other.

import { svg } from "../dom.js";
import { count } from "../format.js";
import { bottomAxis, leftAxis, linear, time } from "./axis.js";

const HEIGHT = 196;
const LEFT = 48;
const RIGHT = 12;
const TOP = 12;
const BOTTOM = 170;
const FEWEST = 12; // steps shown: one hour is no wider than among many
const STEP_MS = { hour: 3600e3, day: 24 * 3600e3 };

/**
 * Draw the bars.
 * @param {{width: number, label: string, step: "hour"|"day",
 *   bins: Array<{start: string, images: number, flagged_then: number, flagged_now: number}>}} what
 */
export function thenNow({ width, label, step, bins }) {
  const starts = bins.map((bin) => new Date(bin.start).getTime());
  const end = starts.at(-1) + STEP_MS[step];
  const x = time([Math.min(starts[0], end - FEWEST * STEP_MS[step]), end], [LEFT, width - RIGHT]);
  const y = linear([0, Math.max(1, ...bins.flatMap((bin) => [bin.flagged_then, bin.flagged_now]))], [BOTTOM, TOP]);
  return svg("svg", { class: "chart", role: "img", "aria-label": label, width, height: HEIGHT, viewBox: `0 0 ${width} ${HEIGHT}` },
    leftAxis(y, { x: LEFT, to: width - RIGHT, label: "Flagged", text: (tick) => (Number.isInteger(tick) ? count(tick) : "") }),
    bins.map((bin, i) => pair(bin, x, y, starts[i], STEP_MS[step])),
    bottomAxis(x, { y: BOTTOM, most: Math.max(2, Math.floor(width / 90)) }));
}

function pair(bin, x, y, start, step) {
  const half = Math.min(24, (x(start + step) - x(start)) / 2 - 0.5);
  const middle = x(start + step / 2);
  const bar = (kind, at, images) => svg("rect", { class: kind, x: at, width: Math.max(0.8, half - 0.5), y: y(images), height: BOTTOM - y(images) },
    svg("title", {}, `${count(images)} of ${count(bin.images)}`));
  return [bar("then", middle - half, bin.flagged_then), bar("now", middle + 0.5, bin.flagged_now)];
}
