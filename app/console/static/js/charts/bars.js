// Horizontal bars below each other, each with its name and its number; some against a line.

import { h, svg } from "../dom.js";

/**
 * Return the bars of some values; what is below 0 has none, and its number says so.
 * @param {string} title what they show, in words.
 * @param {Array<{label: Node|string, value: number, text: Node|string, said: string, line?: number,
 *   beyond?: boolean}>} rows `said` is the bar in words; `line` is where a mark stands; `beyond`
 *   colours it as what must be looked at.
 * @param {number} [most] what a full bar is; unset: the largest value or line of these.
 */
export function bars(title, rows, most = Math.max(...rows.flatMap((row) => [row.value, row.line ?? 0]))) {
  const across = (value) => (most > 0 ? Math.min(100, Math.max(0, (100 * value) / most)) : 0);
  return h("ul", { class: "bars", aria: { label: title } }, rows.map((row) =>
    h("li", {},
      h("span", { class: "bar-label" }, row.label),
      svg("svg", { class: "bar-drawing", viewBox: "0 0 100 10", preserveAspectRatio: "none", role: "img", "aria-label": row.said },
        svg("rect", { class: "bar-ground", width: 100, height: 10 }),
        svg("rect", { class: row.beyond ? "anomalous" : "normal", width: across(row.value), height: 10 }),
        row.line !== undefined && svg("line", { class: "bar-line", x1: across(row.line), x2: across(row.line), y1: 0, y2: 10 })),
      h("span", { class: "bar-text small" }, row.text))));
}
