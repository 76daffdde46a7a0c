// One detector at a glance: how it stands, what it has seen in a day, and where to go next.

import { sparkline } from "../../charts/sparkline.js";
import { h } from "../../dom.js";
import { ago, count, moment, plural, share } from "../../format.js";
import { wordFor } from "../../parts/kinds.js";
import { badge } from "../../parts/states.js";
import { to } from "../../router.js";
import { can } from "../../session.js";
import { states } from "../detector.js";

/** What detectors can be filtered by. */
export const STANDINGS = [
  ["alarm", "Drift alarm"],
  ["review", "Images to review"],
  ["stale", "Calibration is stale"],
  ["created", "Not fitted"],
  ["fitted", "Not calibrated"],
  ["calibrated", "Calibrated"],
];

/** Return which of these a detector is. */
export function standing({ state, stale, traffic }) {
  return [
    state,
    stale && "stale",
    traffic?.drift === "alarm" && "alarm",
    traffic?.to_review > 0 && "review",
  ].filter(Boolean);
}

export function card(detector) {
  const { name, traffic } = detector;
  const isFitted = detector.state !== "created";
  const isAlarm = traffic?.drift === "alarm";
  const one = wordFor(detector);
  return h("li", { class: `card detector ${isAlarm ? "alarm" : ""}` },
    h("h2", {}, h("a", { href: isFitted || !can("fit") ? to`/detectors/${name}/inspect` : to`/detectors/${name}/learn` }, name)),
    h("div", { class: "row badges" }, isAlarm && badge("bad", "drift alarm"), states(detector)),
    traffic && isFitted && seen(traffic, one),
    !isFitted && h("p", { class: "muted" }, `It has seen no ${plural(one)} yet${can("fit") ? ": show it normal ones." : ". Somebody with role fit can show it normal ones."}`),
    h("div", { class: "row next" }, next(detector, isAlarm)));
}

function seen(traffic, one) {
  return [
    sparkline(traffic.buckets, "the last 24 hours", one),
    h("dl", { class: "figures" },
      figure(plural(one), count(traffic.images)),
      figure("flagged", traffic.images ? share(traffic.flagged / traffic.images) : "–"),
      figure("to review", count(traffic.to_review))),
    h("p", { class: "muted small", title: moment(traffic.last_at) }, traffic.last_at ? `In the last 24 hours; last ${one} ${ago(traffic.last_at)}` : `No ${one} scored yet`),
  ];
}

function figure(name, value) {
  return h("div", {}, h("dt", {}, name), h("dd", {}, value));
}

/** Links to what is to be done, the most urgent first. */
function next({ name, state, stale, traffic }, isAlarm) {
  const link = (href, text, isFirst = false) => h("a", { class: `button${isFirst ? " primary" : ""}`, href, aria: { label: `${text}: ${name}` } }, text);
  if (state === "created") return can("fit") && link(to`/detectors/${name}/learn`, "Fit", true);
  return [
    isAlarm && link(to`/detectors/${name}/drift`, "See the drift", true),
    (state === "fitted" || stale) && can("admin") && link(to`/detectors/${name}/learn`, "Calibrate", !isAlarm),
    traffic?.to_review > 0 && link(`${to`/detectors/${name}/history`}?verdict=to_review`, "Review"),
    link(to`/detectors/${name}/inspect`, "Inspect"),
  ];
}
