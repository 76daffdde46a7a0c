// A value for each moment, as a line with its area, against a level.

import { svg } from "../dom.js";
import { score } from "../format.js";
import { bottomAxis, framed, leftAxis, linear } from "./axis.js";

const HEIGHT = 180;
const LEFT = 56;
const [TOP, BOTTOM] = [10, HEIGHT - 40];

/**
 * Return the drawing.
 * @param {{axis: {name: string, unit: string, values: Array<number>}, shares: Array<number>,
 *   line: number|null, label: string}} what `line` is the level, if there is one; `label` says what is
 *   drawn, in words.
 */
export function curve({ axis, shares, line, label }) {
  const { values } = axis;
  const highest = shares.indexOf(Math.max(...shares));
  const unit = axis.unit && ` ${axis.unit}`;
  const said = `${label}, from ${score(values[0])} to ${score(values.at(-1))}${unit}; highest, ${score(shares[highest], 3)}, at ${score(values[highest])}${unit}${line === null ? "" : `; the line is at ${score(line, 3)}`}.`;
  const low = Math.min(0, ...shares);
  const high = Math.max(shares[highest], line ?? 0) * 1.05 || 1;
  return framed((width) => {
    const x = linear([values[0], values.at(-1)], [LEFT, width - 10]);
    const y = linear([low, high], [BOTTOM, TOP]);
    const points = values.map((value, i) => `${x(value).toFixed(1)},${y(shares[i]).toFixed(1)}`).join("L");
    return svg("svg", { class: "chart curve", width, height: HEIGHT, viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", "aria-label": said },
      leftAxis(y, { x: LEFT, to: width - 10, most: 4 }),
      svg("path", { class: "curve-area", d: `M${x(values[0])},${y(0)}L${points}L${x(values.at(-1))},${y(0)}Z` }),
      svg("path", { class: "curve-line", d: `M${points}` }),
      line !== null && svg("line", { class: "curve-level", x1: LEFT, x2: width - 10, y1: y(line), y2: y(line) }),
      bottomAxis(x, { y: BOTTOM, label: axis.unit && axis.unit !== axis.name ? `${axis.name}, ${axis.unit}` : axis.name, most: Math.max(2, Math.floor(width / 110)) }));
  });
}
