// Where a score comes from, over what a sample is a row of: moments as a curve, words in their text, and
// the oddest of them as a list. What has two axes is in the service's picture alone.

import { bars } from "../../charts/bars.js";
import { curve } from "../../charts/curve.js";
import { h } from "../../dom.js";
import { capital, count, score, share } from "../../format.js";

const TOP = 8;
const WORDS = 2000;
// As the service paints them: at 1 a sample of such places alone would be at the threshold.
const MARKS = [[1.6, "mark-far", "far above the line"], [1, "mark-at", "above the line"], [0.8, "mark-near", "near the line"]];
const UNORDERED = ["node"];

/** Return a card for every row of places, in order. */
export function places(result, { one }) {
  return (result.places ?? []).filter(({ axes }) => axes.length === 1 && axes[0].values.length > 1).map((each) => card(each, result, one));
}

function card({ name, axes: [axis], shares }, { score: whole, threshold }, one) {
  const isNamed = typeof axis.values[0] === "string";
  const ratio = ratios(shares, threshold);
  return h("section", { class: "card stack tight places", aria: { label: `Where: ${name}` } },
    h("h2", {}, `Where: ${name}`),
    h("p", { class: "small muted" }, `What each ${axis.name} of this ${one} adds to the score; below 0 it speaks for the ${one}.${threshold === null ? "" : meaning(isNamed)}`),
    !isNamed && curve({ axis, shares, line: threshold === null ? null : threshold / shares.length, label: `Share of the score by ${axis.name}` }),
    isNamed && !UNORDERED.includes(axis.name) && text(axis.values, ratio),
    top(axis, shares, ratio, whole));
}

const meaning = (isNamed) => (isNamed
  ? " Those on a coloured ground, taken alone, lie above the threshold."
  : " Where it is above the dashed line, that part alone lies above the threshold.");

/** How many times over the line a sample would be all of whose places were like each. */
function ratios(shares, threshold) {
  const line = threshold === null ? (Math.max(...shares) * shares.length) / 2 : threshold;
  return shares.map((value) => (line > 0 ? (value * shares.length) / line : 0));
}

function text(words, ratio) {
  const shown = words.slice(0, WORDS).map((word, i) => {
    const found = MARKS.find(([least]) => ratio[i] >= least);
    return [found ? h("mark", { class: found[1], title: found[2] }, word) : word, " "];
  });
  return h("div", { class: "stack tight" },
    h("p", { class: "marked-text" }, shown),
    words.length > WORDS && h("p", { class: "small muted" }, `and ${count(words.length - WORDS)} more`));
}

/** The places that add most, the largest first. */
function top({ name, unit, values }, shares, ratio, whole) {
  const order = shares.map((_, i) => i).toSorted((a, b) => shares[b] - shares[a]).slice(0, TOP).filter((i) => shares[i] > 0);
  if (order.length === 0) return null;
  const isNamed = typeof values[0] === "string";
  const label = (i) => (isNamed ? values[i] : [capital(name), score(values[i]), unit].filter((each) => each !== "").join(" "));
  return h("div", { class: "stack tight" },
    h("h3", {}, `The ${order.length === 1 ? "one" : `${order.length}`} that add${order.length === 1 ? "s" : ""} most`),
    bars(`What each ${name} adds`, order.map((i) => ({
      label: label(i),
      value: shares[i],
      text: `${score(shares[i], 3)} (${share(shares[i] / whole)})`,
      said: `${label(i)}: ${score(shares[i], 3)}, ${share(shares[i] / whole)} of the score`,
      beyond: ratio[i] >= 1,
    }))));
}
