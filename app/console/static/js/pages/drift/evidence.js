// Evidence of every monitor against its alarm line, and the last alarms.

import { bars } from "../../charts/bars.js";
import { h } from "../../dom.js";
import { moment, score } from "../../format.js";
import { badge } from "../../parts/states.js";
import { table } from "../../parts/table.js";
import { to } from "../../router.js";
import { watched } from "./words.js";

/**
 * Return the bars; @param {(monitor: string) => Node|null} acknowledging gives the button to end
 * the alarms of a monitor, where one may.
 */
export function evidence(told, acknowledging) {
  if (told.monitors.length === 0) return null;
  // Beyond twice the line more length would only make the others short.
  const most = 2 * Math.max(...told.monitors.map((each) => each.threshold_log10));
  return h("section", { class: "card stack", aria: { label: "Evidence" } },
    h("h2", {}, "Evidence of a change"),
    h("p", { class: "muted small" }, "As powers of ten. The mark on each bar is its alarm line."),
    bars("Evidence of each monitor against its alarm line", told.monitors.map((each) => row(each, isFirst(each, told) ? acknowledging : () => null)), most));
}

/** Whether it is the first of its monitor's streams with an alarm: these are acknowledged together. */
function isFirst(stream, told) {
  return stream === told.monitors.find((each) => each.latched && each.monitor === stream.monitor);
}

function row(monitor, acknowledging) {
  const isBeyond = monitor.evidence_log10 >= monitor.threshold_log10;
  const found = `${score(monitor.evidence_log10, 3)} of ${score(monitor.threshold_log10, 3)}`;
  return {
    label: [watched(monitor.watches), monitor.latched && [" ", badge("bad", "alarm")]],
    value: monitor.evidence_log10,
    line: monitor.threshold_log10,
    beyond: isBeyond,
    said: `${watched(monitor.watches)}: evidence ${found} that an alarm takes`,
    text: [
      h("strong", {}, found),
      h("div", {}, `since baseline ${score(monitor.since_baseline_log10, 3)}`),
      monitor.latched && acknowledging(monitor.monitor, monitor.watches),
    ],
  };
}

export function alarms(told) {
  if (told.alarms.length === 0) return null;
  const name = told.detector;
  return h("section", { class: "card", aria: { label: "Alarms" } },
    table("Last alarms, newest first", [
      { name: "When", of: (each) => moment(each.at) },
      { name: "What changed", of: (each) => watched(each.watches) },
      { name: "Image", of: (each) => h("a", { href: imageLink(name, each.image) }, `number ${each.image_number}`) },
    ], told.alarms));
}

/** The address of an image in the history. */
export const imageLink = (name, image) => `${to`/detectors/${name}/history`}?${new URLSearchParams({ image })}`;
