// The table of operating points: what each false-alarm rate would cost and bring.

import { h } from "../../dom.js";
import { count, score, share } from "../../format.js";
import { table } from "../../parts/table.js";
import { percent } from "./rates.js";

const TARGETS = [0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001];

/** Return the table; `onChoose(target)` hears which row is taken. */
export function pointsTable(points, onChoose) {
  const rows = points.filter((each) => TARGETS.includes(each.target));
  const needs = ({ images_needed: images }) => h("span", { class: "muted" }, `needs ${count(images)} calibration images`);
  return table("False-alarm rates, and what each would do", [
    { name: "Rate", of: (point) => percent(point.target) },
    { name: "Line", of: (point) => (point.threshold === null ? needs(point) : score(point.threshold)) },
    { name: "False alarms per 1,000", number: true, of: (point) => score(point.false_alarms_per_1000, 3) },
    { name: "Calibration images above", number: true, of: (point) => ratio(point.in_sample) },
    { name: "Known anomalies caught", number: true, of: (point) => ratio(point.detections) },
    { name: "Try it", of: (point) => point.threshold !== null && h("button", { type: "button", class: "small-button", aria: { label: `Try ${percent(point.target)}` }, on: { click: () => onChoose(point.target) } }, "Try") },
  ], rows);
}

function ratio(found) {
  return found ? `${count(found.count)} of ${count(found.of)} (${share(found.low)} to ${share(found.high)})` : "–";
}
