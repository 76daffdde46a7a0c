// The verdict on one sample in words: how far from the threshold, how unlikely, and what made it odd.

import { gauge } from "../../charts/gauge.js";
import { h } from "../../dom.js";
import { score, share } from "../../format.js";
import { calibrationOf, chance, distance, kind, meaning, word } from "../../parts/verdict.js";
import { to } from "../../router.js";
import { can } from "../../session.js";

const TOP = 6;
export const LOST = "The answer was lost: it may have been scored all the same, and is then in the history twice once it is tried again.";
const STAGES = { decode: "Reading the file", queue: "Waiting for the network", forward: "The network, with its whole batch", judge: "Judging" };

/** Return the verdict on a sample that was scored. */
export function verdict(item, detector, group, samples) {
  const { result } = item;
  const facts = [
    ["Score", score(result.score)],
    result.threshold !== null && ["Threshold", score(result.threshold)],
    ["Judged by", `version ${item.version}`],
    group && ["Group", group],
  ].filter(Boolean);
  return h("div", { class: "stack tight" },
    h("p", { class: `verdict ${kind(result.verdict)}` }, word(result.verdict)),
    h("p", {}, meaning(result.verdict, samples)),
    gauge({ score: result.score, threshold: result.threshold, review: reviewLine(detector, result) }),
    result.threshold !== null && h("p", {}, `The score of ${score(result.score)} lies ${distance(result.score, result.threshold)}. ${chance(result.p_value, calibrationOf(detector, item.version), samples)}`),
    result.verdict === "uncalibrated" && uncalibrated(detector, samples),
    h("dl", { class: "small" }, facts.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])));
}

/** The band is drawn where it is the line in service that judged. */
function reviewLine({ threshold }, result) {
  return threshold && threshold.value === result.threshold ? threshold.review : null;
}

function uncalibrated({ name }, { many }) {
  return h("p", {}, `Scores of one detector can be compared with each other: higher is more anomalous. What is too high is known once the detector is calibrated with ${many} that were not fitted. `,
    can("admin") && h("a", { href: to`/detectors/${name}/learn` }, "Calibrate it"));
}

/** Return what could not be judged, with the service's reason. */
export function refused(item, again) {
  return h("div", { class: "stack tight" },
    h("p", { class: `verdict ${kind(item.verdict)}` }, word(item.verdict)),
    h("p", {}, h("strong", {}, item.problem.title)),
    h("p", {}, item.problem.detail),
    item.wasLost && h("p", {}, LOST),
    h("div", { class: "row" }, h("button", { type: "button", on: { click: again } }, "Try again")));
}

/** Return what each part added to the score, the largest first. */
export function contributions(result, { isImage }) {
  const parts = Object.entries(result.contributions ?? {}).toSorted(([, one], [, other]) => other - one);
  if (parts.length === 0) return null;
  const whole = parts.reduce((sum, [, value]) => sum + Math.abs(value), 0) || 1;
  const largest = Math.max(...parts.map(([, value]) => Math.abs(value))) || 1;
  const row = ([name, value]) => h("li", {},
    h("span", {}, partName(name)),
    bar(Math.abs(value) / largest),
    h("span", { class: "number" }, `${score(value, 3)} (${share(value / whole, 2)})`));
  const [first, rest] = [parts.slice(0, TOP), parts.slice(TOP)];
  return h("section", { class: "card stack tight" },
    h("h2", {}, "What adds to the score"),
    h("p", { class: "small muted" }, isImage
      ? "Parts of the network from fine (low numbers) to coarse, and the places of the image taken one by one. They sum to the score."
      : "Parts of the network, in what they add. They sum to the score."),
    h("ul", { class: "parts-of-score" }, first.map(row)),
    rest.length > 0 && h("details", {}, h("summary", {}, `${rest.length} more`), h("ul", { class: "parts-of-score" }, rest.map(row))));
}

function partName(name) {
  if (name === "regional") return "Places";
  return name.replace(/^blocks\./, "Block ");
}

function bar(part) {
  const line = h("span", { class: "part-line", aria: { hidden: "true" } });
  line.style.width = `${Math.max(1, 100 * part)}%`;
  return h("span", { class: "part-frame" }, line);
}

/** Return the fitted samples that one is most like, beside it. */
export function nearest(item, address, images, { one, many }) {
  const section = (content) => h("section", { class: "card stack tight" }, h("h2", {}, `The most similar normal ${many}`), content);
  if (images.length === 0) {
    return section(h("p", { class: "small muted" }, `None is kept: they are ${many} of the last fit, as many as the detector's option “evidence” says.`));
  }
  const figure = (src, alt, ...caption) => h("li", {}, h("figure", {}, h("img", { src, alt }), h("figcaption", { class: "small" }, caption)));
  return section([
    h("p", { class: "small muted" }, `Of the fitted ${many} that are kept as evidence. The distance is in standard deviations of the fitted ${many}: smaller is more alike.`),
    h("ul", { class: "nearest" },
      address && figure(address, item.name, h("strong", {}, `This ${one}`)),
      images.map(({ thumbnail, distance: away }, i) => figure(thumbnail, `Normal ${one} ${i + 1}`, `Distance ${score(away, 3)}`))),
  ]);
}

/** Return where the time went. */
export function timings({ timings_ms: spent }) {
  if (!spent) return null;
  return h("details", { class: "small" }, h("summary", {}, `Timings: ${ms(Object.values(spent).reduce((sum, value) => sum + value))} in the service`),
    h("dl", {}, Object.entries(STAGES).map(([stage, text]) => [h("dt", {}, text), h("dd", { class: "number" }, ms(spent[stage]))])));
}

const ms = (value) => `${score(value, 3)} ms`;
