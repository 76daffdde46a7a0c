// What came of the last job, in words, and what to do next.

import { h } from "../../dom.js";
import { ago, capital, count, counted, duration, moment, score, share } from "../../format.js";
import { kindOf, stateOf } from "../../parts/job.js";
import { badge, box } from "../../parts/states.js";
import { table } from "../../parts/table.js";
import { to } from "../../router.js";
import { can } from "../../session.js";

const REJECTED_SHOWN = 100;

/** Return a card about a job that has ended, its result included; `samples` are what it was about. */
export function outcome(job, samples) {
  const { result, problem } = job;
  return h("section", { class: "card stack job job-outcome", aria: { label: "Last job" } },
    h("div", { class: "row spread" },
      h("div", { class: "row" }, h("h2", {}, kindOf(job)), badge(...stateOf(job))),
      h("span", { class: "muted small", title: moment(job.ended_at) }, `${ago(job.ended_at)}, took ${duration((new Date(job.ended_at) - new Date(job.started_at ?? job.ended_at)) / 1000)}`)),
    problem && box("bad", [problem.detail || problem.title], problem.detail ? problem.title : ""),
    job.state === "cancelled" && h("p", {}, "It was cancelled: nothing was changed."),
    result && done(job, result, samples));
}

function done(job, result, samples) {
  const { detector } = result;
  return [
    h("p", {}, sentence(result, samples)),
    box("warn", result.warnings, "To know before it is relied on"),
    result.rejected?.length > 0 && rejected(result.rejected),
    result.groups && groupReport(result.groups, samples),
    next(detector, samples),
  ];
}

function sentence({ detector, fitted, calibrated, forgotten, threshold }, { one }) {
  const serves = detector.in_service === detector.version ? "which is in service" : `while version ${detector.in_service} serves`;
  const made = `This made version ${detector.version}, ${serves}.`;
  if (calibrated !== undefined) {
    const beside = detector.known_anomalies > 0 ? `, with ${counted(detector.known_anomalies, "known defect")} beside` : "";
    return `${counted(detector.calibration_images, one)} drew the line at a score of ${score(threshold.value)}${beside}. ${threshold.statement} ${made}`;
  }
  if (forgotten !== undefined) return `${counted(forgotten, one)} forgotten. ${made}`;
  const total = detector.fitted_images > fitted ? ` It now knows ${count(detector.fitted_images)} in all.` : "";
  return `${counted(fitted, one)} fitted.${total} ${made}`;
}

function rejected(items) {
  return h("details", { open: items.length <= 5 },
    h("summary", {}, `${counted(items.length, "file")} left out, and why`),
    table("Files that were left out", [
      { name: "File", of: (each) => each.name || "–" },
      { name: "Why", of: (each) => h("div", { class: "problem" }, each.problem.detail || each.problem.title) },
    ], items.slice(0, REJECTED_SHOWN)),
    items.length > REJECTED_SHOWN && h("p", { class: "muted small" }, `and ${count(items.length - REJECTED_SHOWN)} more`));
}

/** False alarms to expect of the next lot: each group judged as if it were new. */
function groupReport(report, { many }) {
  const { in_sample: inside, held_out: outside } = report;
  const rate = (each) => (each.of > 0 ? `${share(each.count / each.of)} (${count(each.count)} of ${count(each.of)})` : "–");
  return h("details", { open: true },
    h("summary", {}, "What to expect of the next lot, session or camera"),
    h("div", { class: "stack tight" },
      h("p", {}, `With all groups known, ${rate(inside)} of the normal ${many} are above the line. With each group in turn treated as new, it is ${rate(outside)}; the rate behind it lies between ${share(report.low)} and ${share(report.high)} (95 % interval). Aimed at: ${share(report.target)}.`),
      h("p", { class: "muted small" }, report.refitted ? "Each group was left out of the fit and of the choice of the line. " : "Each group was left out of the choice of the line alone, not of the fit. ",
        `Chance: how likely so many flagged ${many} are, or more, if the group is like the others.`),
      table("Each group treated as new", [
        { name: "Group", of: (each) => each.group },
        { name: capital(many), number: true, of: (each) => count(each.held_out.of) },
        { name: "Flagged if known", number: true, of: (each) => count(each.in_sample.count) },
        { name: "Flagged if new", number: true, of: (each) => count(each.held_out.count) },
        { name: "Chance", number: true, of: (each) => score(each.p_value, 2) },
      ], report.groups)));
}

function next({ name, state, stale }, { many }) {
  const link = (href, text, isFirst) => h("a", { class: `button${isFirst ? " primary" : ""}`, href }, text);
  if (state === "calibrated" && !stale) {
    return h("div", { class: "row" }, link(to`/detectors/${name}/inspect`, `Inspect ${many}`, true), link(to`/detectors/${name}/threshold`, "Look at the threshold"));
  }
  const toStep = h("button", { type: "button", class: "primary", on: { click: () => {
    const heading = document.getElementById("step-2-title");
    heading.scrollIntoView();
    heading.focus();
  } } }, "Next: calibrate");
  return h("div", { class: "row" }, can("admin") ? toStep : "Next, somebody with role admin calibrates it.", link(to`/detectors/${name}/inspect`, `Inspect ${many}`));
}
