// The test of whole windows of images: its p-value, what moved, which images, and how they look.

import { bars } from "../../charts/bars.js";
import { h } from "../../dom.js";
import { count, counted, moment, score, share } from "../../format.js";
import { badge } from "../../parts/states.js";
import { table } from "../../parts/table.js";
import { imageLink } from "./evidence.js";
import { part, statistic } from "./words.js";

/** Return the section of windows; null if these are not tested. */
export function windows(told, acknowledging) {
  const { window: tested, detector: name } = told;
  if (!tested) return null;
  const shown = tested.alarmed ?? tested.last;
  const isOlder = tested.alarmed && tested.last && tested.last.at !== tested.alarmed.at;
  return h("section", { class: "stack", aria: { label: "Windows of images" } },
    h("div", { class: "card stack" },
      h("div", { class: "row drift-title" }, h("h2", {}, "Windows of images"), tested.latched && badge("bad", "alarm"), tested.latched && acknowledging("window", "window")),
      h("p", { class: "muted small" }, "Images that are not flagged fill windows, which are compared as a whole with the baseline."),
      h("label", { class: "field" },
        h("span", {}, `${count(tested.images)} of ${counted(tested.target_images, "image")} in the next window`),
        h("progress", { value: tested.images, max: tested.target_images })),
      !shown && h("p", {}, "No window has been tested since the baseline.")),
    shown && report(shown, name, tested.alarmed ? "The window that raised the alarm" : "The last window"),
    isOlder && h("details", { class: "card" }, h("summary", {}, "The last window since"), report(tested.last, name, "The last window")));
}

function report(said, name, title) {
  return h("div", { class: "columns" },
    h("div", { class: "card stack" },
      h("h3", {}, title),
      h("p", {}, sentence(said.text)),
      h("p", { class: "muted small" }, `${counted(said.images, "image")}, ${moment(said.since)} to ${moment(said.at)}`),
      said.warming_up && h("p", { class: "box note" }, sentence(said.warming_up)),
      chances(said)),
    h("div", { class: "card stack" }, h("h3", {}, "How far it moved, in nats"), divergence(said), moved(said)),
    h("div", { class: "card stack" }, h("h3", {}, "What images were like"), circumstances(said), contributors(said, name)));
}

function chances(said) {
  const strength = (p) => -Math.log10(p);
  const row = (label, p, more = {}) => ({ label, value: strength(p), text: `p = ${score(p, 2)}`, said: `${label}: p-value ${score(p, 2)}`, ...more });
  const level = score(said.level, 2);
  return [
    h("p", { class: "small" }, `Together p = ${score(said.p_value, 2)}; an alarm at or below ${level} (the mark). Longer is stronger.`),
    bars("p-values of the window, as strength of evidence", [
      row("Together", said.p_value, { line: strength(said.level), beyond: said.drifted, said: `Together: p-value ${score(said.p_value, 2)}, an alarm at or below ${level}` }),
      ...Object.entries(said.statistics).map(([each, p]) => row(statistic(each), p)),
    ]),
  ];
}

function divergence(said) {
  return bars("Divergence from the baseline in nats, by part", Object.entries(said.nats).map(([each, nats]) => ({
    label: part(each), value: nats, text: score(nats, 3), said: `${part(each)}: ${score(nats, 3)} nats`,
  })));
}

function moved(said) {
  return [
    h("details", {}, h("summary", {}, "By block of the network"),
      bars("Nats a channel, by block in the order in which they run", said.blocks.map((each) => ({
        label: each.block, value: each.nats,
        text: `${score(each.nats, 2)} (${sd(each.shift_sd)}, spread ×${score(each.spread, 3)})`,
        said: `${each.block}: ${score(each.nats, 2)} nats a channel`,
      })))),
    h("details", {}, h("summary", {}, "Channels that moved most"),
      table("Channels that moved most", [
        { name: "Block", of: (each) => each.block },
        { name: "Channel", of: (each) => each.channel, number: true },
        { name: "Shift", of: (each) => sd(each.shift_sd), number: true },
        { name: "Spread", of: (each) => `×${score(each.spread, 3)}`, number: true },
        { name: "Nats", of: (each) => score(each.nats, 3), number: true },
      ], said.channels)),
  ];
}

/** What it looks like is guessed of a window that has moved only: of another there is nothing to explain. */
function circumstances({ drifted, circumstances: seen }) {
  const ratios = Object.entries(seen.ratios);
  return [
    drifted && seen.looks_like && h("p", {}, h("strong", {}, "Looks like "), seen.looks_like, h("span", { class: "muted" }, " (a guess by stated rules)")),
    h("dl", {},
      ratios.map(([name, ratio]) => [h("dt", {}, sentence(name)), h("dd", {}, `×${score(ratio, 3)} `, seen.changed.includes(name) && badge("warn", "changed"))]),
      h("dt", {}, "Flagged"),
      h("dd", {}, `${share(seen.flagged)}, before ${share(seen.flagged_before)} `, seen.flagged_changed && badge("warn", "changed"))),
    ratios.length === 0 && h("p", { class: "muted small" }, "Brightness, contrast and sharpness of the baseline are not known."),
  ];
}

function contributors(said, name) {
  if (said.contributors.length === 0) return null;
  return [
    h("h3", {}, "Images that moved most"),
    h("ol", { class: "drift-contributors" }, said.contributors.map((each, i) =>
      h("li", {}, h("a", { href: imageLink(name, each.image) }, `Image ${i + 1}`), h("span", { class: "muted small" }, ` ${score(each.nats, 2)} nats`)))),
  ];
}

const sd = (value) => `${value > 0 ? "+" : ""}${score(value, 2)} sd`;
const sentence = (text) => text && text[0].toUpperCase() + text.slice(1);
