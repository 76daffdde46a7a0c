// Two versions on the same images, side by side; nothing is kept of it.

import { post } from "../../api.js";
import { fill, h } from "../../dom.js";
import { count, counted, score } from "../../format.js";
import { dropzone } from "../../parts/dropzone.js";
import { choice, field } from "../../parts/field.js";
import { box, loading } from "../../parts/states.js";
import { table } from "../../parts/table.js";
import { verdictBadge } from "../../parts/verdict.js";

const MOST_SHOWN = 100;

export function comparing({ at, detector, signal }, newest) {
  const judging = newest.filter((each) => each.state !== "created");
  if (judging.length < 2) return null;
  const numbers = judging.map((each) => [String(each.version), `Version ${each.version}`]);
  const other = judging.find((each) => each.version !== detector.in_service);
  const first = choice(numbers, String(detector.in_service));
  const second = choice(numbers, String(other.version));
  const told = h("div", { class: "stack", aria: { live: "polite" } });
  const zone = dropzone({
    title: "Images to judge by both", signal,
    onFiles: (files) => compared(at, first.value, second.value, files, told, signal),
  });
  return h("details", { class: "card" },
    h("summary", {}, "Compare two versions on images"),
    h("div", { class: "stack" },
      h("p", { class: "muted" }, "Both judge the same images. Nothing is kept of it."),
      h("div", { class: "row" }, field("First", first), field("Second", second)),
      zone, told));
}

async function compared(at, first, second, files, told, signal) {
  const body = new FormData();
  for (const { file, path } of files) body.append("images", file, path);
  fill(told, loading(`Judging ${counted(files.length, "image")}`));
  try {
    fill(told, outcome(await post(`${at}/compare`, { query: { first, second }, body, signal })));
  } catch (error) {
    fill(told, error.name !== "AbortError" && box("bad", [error.message]));
  }
}

function outcome(duel) {
  const shown = duel.results.slice(0, MOST_SHOWN);
  const judged = ([one, other], i) => [one, other][i].problem?.detail ?? [`${score([one, other][i].score)} `, [one, other][i].verdict && verdictBadge([one, other][i].verdict)];
  return [
    h("p", {}, `Of ${counted(duel.images, "image")} that both could score, they agree on ${count(duel.agreed)}. `,
      `Version ${duel.first} alone flags ${count(duel.only_first)}, version ${duel.second} alone ${count(duel.only_second)}.`),
    table(duel.results.length > shown.length ? `The first ${MOST_SHOWN} of ${count(duel.results.length)} images` : "Image by image", [
      { name: "Image", of: ([one]) => one.name || `number ${one.index + 1}` },
      { name: `Version ${duel.first}`, of: (pair) => judged(pair, 0) },
      { name: `Version ${duel.second}`, of: (pair) => judged(pair, 1) },
    ], shown),
  ];
}
