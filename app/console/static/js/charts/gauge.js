// A score on a scale that never changes: from 0 to twice the threshold, which stands in the middle.

import { h, svg } from "../dom.js";
import { score as text } from "../format.js";
import { distance } from "../parts/verdict.js";

const HEIGHT = 34;

/**
 * Return the drawing; null for a threshold that is no positive number, which gives no scale.
 * @param {{score: number, threshold: number|null, review?: number|null}} what
 *   `review` is where the uncertain band begins.
 */
export function gauge({ score, threshold, review = null }) {
  if (!(threshold > 0)) return null;
  const at = (value) => 50 * Math.min(2, Math.max(0, value / threshold));
  const isBeyond = score > 2 * threshold;
  const band = review !== null && review < threshold ? at(review) : null;
  const said = `Score ${text(score)} on a scale from 0 to twice the threshold of ${text(threshold)}: ${distance(score, threshold)}.`;
  return h("div", { class: "gauge" },
    svg("svg", { class: "chart", height: HEIGHT, role: "img", "aria-label": said },
      svg("rect", { class: "gauge-normal", x: 0, y: 10, width: "50%", height: 14 }),
      band !== null && svg("rect", { class: "gauge-band", x: `${band}%`, y: 10, width: `${50 - band}%`, height: 14 }),
      svg("rect", { class: "gauge-flagged", x: "50%", y: 10, width: "50%", height: 14 }),
      svg("line", { class: "threshold", x1: "50%", x2: "50%", y1: 2, y2: HEIGHT - 2 }),
      svg("line", { class: "gauge-score", x1: `${at(score)}%`, x2: `${at(score)}%`, y1: 5, y2: 29 }),
      svg("circle", { class: "gauge-knob", cx: `${at(score)}%`, cy: 17, r: 7 })),
    h("div", { class: "gauge-words small muted", aria: { hidden: "true" } },
      h("span", {}, "0"),
      h("span", {}, `threshold ${text(threshold)}`),
      h("span", {}, isBeyond ? "beyond" : "twice")));
}
