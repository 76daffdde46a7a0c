// The picture of the calibration: which part of the scores it shows, its lines, and what they are.

import { framed } from "../../charts/axis.js";
import { histogram } from "../../charts/histogram.js";
import { h } from "../../dom.js";
import { counted, score } from "../../format.js";
import { check } from "../../parts/field.js";

const FEW = 0.4;

/**
 * Return {element, propose({value, review})}.
 * @param {Object} scores the calibration's scores, counted.
 * @param {Object|null} now the threshold of the version.
 * @param {string} servingWord how its line is called.
 * @param {(value: number) => void} onDrag
 */
export function pictureOf(scores, now, servingWord, onDrag) {
  const { edges } = scores;
  const whole = [edges[0], edges.at(-1)];
  const near = nearNormal(scores);
  let proposed = { value: null, review: null };
  let drawing = null;
  const band = entry("review", "to review");
  band.hidden = true;

  const all = h("input", { on: { change: () => place.replaceChildren(framed(draw)) } });
  const place = h("div", {}, framed(draw));

  function draw(width) {
    drawing = histogram({
      width,
      label: words(scores, now),
      edges,
      normal: scores.normal,
      anomalous: scores.anomalous,
      range: near && !all.checked ? near : whole,
      serving: scores.threshold,
      servingWord,
      groups: Object.values(now?.by_group ?? {}),
      onDrag,
    });
    drawing.propose(proposed);
    return drawing.element;
  }

  return {
    element: h("div", {},
      place,
      legend(scores, now, servingWord, band),
      near && check("Show all scores", all, `The picture ends at ${score(near[1])}; the highest score is ${score(whole[1])}.`)),
    propose({ value, review }) {
      proposed = { value, review };
      band.hidden = review === null;
      drawing?.propose(proposed);
    },
  };
}

/** Return the range of the normal images and the line, if the picture would show little of it else. */
function nearNormal({ edges, normal, threshold }) {
  const line = threshold === null ? 0 : edges.findLastIndex((edge) => edge <= threshold);
  const last = Math.max(normal.findLastIndex((each) => each > 0), line);
  const shown = Math.ceil((last + 1) * 1.3) + 1;
  return shown < FEW * normal.length ? [edges[0], edges[shown]] : null;
}

function legend(scores, now, servingWord, band) {
  return h("ul", { class: "legend small" },
    entry("normal", counted(scores.normal_images, "normal image")),
    scores.anomalous_images > 0 && entry("anomalous", counted(scores.anomalous_images, "known anomaly").replace(/ys$/, "ies")),
    now && entry("threshold", `line ${servingWord}`),
    entry("proposed", "proposed line: drag it"),
    band,
    Object.keys(now?.by_group ?? {}).length > 0 && entry("group", "lines of groups"));
}

function entry(kind, text) {
  return h("li", {}, h("span", { class: `key ${kind}`, aria: { hidden: "true" } }), text);
}

function words(scores, now) {
  const anomalies = scores.anomalous_images ? ` and of ${scores.anomalous_images} known anomalies` : "";
  const line = now ? ` The line lies at ${score(now.value)}.` : "";
  return `Histogram of the scores of ${scores.normal_images} normal images${anomalies}, from ${score(scores.edges[0])} to ${score(scores.edges.at(-1))}.${line}`;
}
