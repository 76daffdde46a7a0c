// One version: what it is, how it came about, and what may be done with it.

import { h } from "../../dom.js";
import { ago, counted, moment, score } from "../../format.js";
import { badge } from "../../parts/states.js";
import { can } from "../../session.js";
import { follow, promote, remove } from "./actions.js";
import { take } from "./bundle.js";

const CHANGES = {
  create: "Created",
  replace: "Fitted anew",
  extend: "Extended by images",
  forget: "Images forgotten",
  calibrate: "Calibrated",
  threshold: "Threshold set",
  review: "Threshold from reviews",
  import: "Imported",
};

export function entry(version, context) {
  const { detector } = context;
  const serves = version.version === detector.in_service;
  return h("li", { class: `card version${serves ? " serves" : ""}` },
    h("div", { class: "version-what" },
      h("div", { class: "row" }, h("h3", {}, `Version ${version.version}`), marks(version, detector)),
      h("p", {}, h("strong", {}, CHANGES[version.change] ?? version.change), version.parent !== null && ` from version ${version.parent}`),
      version.reason && h("p", {}, `“${version.reason}”`),
      h("p", { class: "muted small" }, `by ${version.who}, `, h("time", { dateTime: version.created_at, title: moment(version.created_at) }, ago(version.created_at)))),
    h("dl", { class: "version-facts" }, facts(version)),
    h("div", { class: "row version-actions" }, actions(version, context)),
    h("details", { class: "small" }, h("summary", {}, `How version ${version.version} came about`), lineage(version)));
}

function marks(version, detector) {
  return [
    version.version === detector.in_service && badge("good", "in service"),
    version.version === detector.shadow && badge("note", "shadow"),
    version.version === detector.tip && version.version !== detector.in_service && badge("", "tip: the next change builds on it"),
    version.stale && badge("warn", "calibration is stale"),
    version.state === "created" && badge("note", "not fitted"),
  ];
}

function facts(version) {
  return [
    ["Fitted to", counted(version.fitted_images, "image")],
    ["Calibrated on", version.calibration_images ? counted(version.calibration_images, "image") : "nothing yet"],
    ["Threshold", version.threshold === null ? "none" : score(version.threshold)],
  ].map(([name, text]) => [h("dt", {}, name), h("dd", {}, text)]);
}

function actions(version, context) {
  const { detector, parents } = context;
  const uses = [detector.in_service, detector.shadow, detector.tip];
  const isFitted = version.state !== "created";
  const isUsed = version.version === detector.in_service;
  return [
    can("admin") && isFitted && !isUsed && promote(version.version, context),
    can("admin") && version.threshold !== null && !isUsed && version.version !== detector.shadow && follow(version.version, context),
    can("fit") && isFitted && take(version.version, context),
    can("admin") && !uses.includes(version.version) && !parents.has(version.version) && remove(version.version, context),
  ];
}

function lineage(version) {
  const given = Object.entries(version.parameters).filter(([, value]) => value !== null);
  return h("dl", {},
    h("dt", {}, "When"), h("dd", {}, moment(version.created_at)),
    h("dt", {}, "Request"), h("dd", {}, h("code", {}, version.request_id || "–")),
    given.map(([name, value]) => [h("dt", {}, h("code", {}, name)), h("dd", {}, h("code", {}, typeof value === "string" ? value : JSON.stringify(value)))]));
}
