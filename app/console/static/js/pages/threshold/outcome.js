// What a line would do, in words: its promise, what lies above it, or why there is none.

import { fill, h } from "../../dom.js";
import { counted, score, share } from "../../format.js";
import { box } from "../../parts/states.js";
import { to } from "../../router.js";
import { can } from "../../session.js";
import { percent } from "./rates.js";

// What helps where a line is refused, by the type of the problem; no images mend a wrong number.
const TOO_FEW = "urn:gatewatch:problem:insufficient-calibration";
const HELP = { [TOO_FEW]: "Calibrate with more images", "urn:gatewatch:problem:missing-anomalies": "Calibrate with known anomalies" };

/**
 * Return {element, waiting(), incomplete(), refused(error, points), show(preview, point)}.
 * @param {(rate: number) => void} byRate takes a rate that the images can support.
 */
export function outcome(name, byRate) {
  const promise = h("div", { class: "stack", aria: { live: "polite" } }, h("p", { class: "muted" }, "Asking what this line would do."));
  const facts = h("div", {});
  const settle = (isBusy) => promise.setAttribute("aria-busy", String(isBusy));
  return {
    element: h("div", { class: "stack outcome" }, h("h2", {}, "What this line would do"), promise, facts),
    waiting: () => settle(true),
    incomplete() {
      settle(false);
      fill(promise, h("p", { class: "muted" }, "Give every number, and rates above 0 and below 100 %: what the line would do is said here."));
      fill(facts);
    },
    refused(error, points) {
      settle(false);
      const type = error.rest?.type;
      const lowest = Math.min(...points.filter((each) => each.threshold !== null).map((each) => each.target));
      fill(promise, box("warn", [sentence(error.message)], error.title));
      fill(facts, h("div", { class: "row" },
        type === TOO_FEW && lowest < 1 && h("button", { type: "button", on: { click: () => byRate(lowest) } }, `Take ${percent(lowest)}, the lowest here`),
        type in HELP && can("admin") && h("a", { class: "button", href: to`/detectors/${name}/learn` }, HELP[type])));
    },
    show({ proposed, in_sample, detections }, point) {
      settle(false);
      fill(promise, figure(proposed, point), h("p", {}, proposed.statement));
      fill(facts, h("dl", { class: "facts" },
        fact("Line", score(proposed.value)),
        proposed.review !== null && fact("Review from", score(proposed.review)),
        fact("Calibration images above it", shareInWords(in_sample)),
        fact("Known anomalies above it", detections ? shareInWords(detections) : "None are known. Give some when you calibrate, and it is said here how many would be caught.")),
      groupLines(proposed.by_group));
    },
  };
}

function figure(proposed, point) {
  const isPromised = proposed.method === "conformal";
  if (!isPromised) return h("p", {}, h("strong", {}, "No promised rate of false alarms."));
  const most = point?.false_alarms_per_1000 ?? 1000 * proposed.target;
  return h("p", { class: "figure" },
    h("strong", { class: "number" }, score(most, 3)),
    h("span", {}, "expected false alarms per 1,000 normal images, at most"));
}

/** "3 of 120 (2.5 %). The rate behind it: 0.5 % to 7.1 %, with 95 % confidence." */
export function shareInWords({ count, of, low, high }) {
  return `${count} of ${of} (${share(of ? count / of : 0)}). The rate behind it lies between ${share(low)} and ${share(high)}, with 95 % confidence.`;
}

function groupLines(lines) {
  const found = Object.entries(lines);
  if (found.length === 0) return null;
  return h("details", {},
    h("summary", {}, `Lines of ${counted(found.length, "group")}`),
    h("dl", {}, found.map(([group, value]) => fact(group, score(value)))));
}

const fact = (term, value) => [h("dt", {}, term), h("dd", {}, value)];

const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1);
