// One scored image: what was said of it, by which version, and what people said of that.

import { get, path } from "../../api.js";
import { gauge } from "../../charts/gauge.js";
import { fill, h } from "../../dom.js";
import { moment, score } from "../../format.js";
import { reviews } from "../../parts/reviews.js";
import { failure, loading } from "../../parts/states.js";
import { calibrationOf, chance, distance, kind, meaning, word } from "../../parts/verdict.js";
import { to } from "../../router.js";

/**
 * Show images in a dialog, until it is closed.
 * @param {{id: string, detector: Object, beside: (id: string, by: number) => string|null, signal: AbortSignal,
 *   onShow: (id: string|null) => void, onSaid: (review: Object) => void}} what
 *   `beside` gives the id of the image some places further in the list; `onShow` is called with each
 *   id that is shown, and with null in the end.
 */
export function openImage({ id, detector, beside, signal, onShow, onSaid }) {
  let shown = id;
  let asking = new AbortController();
  const content = h("div", { class: "stack image-content", tabIndex: -1, autofocus: true });
  const move = (by) => h("button", { type: "button", on: { click: () => show(beside(shown, by)) } }, by < 0 ? "Newer" : "Older");
  const [newer, older] = [move(-1), move(1)];
  const dialog = h("dialog", { class: "image-dialog", aria: { label: "Scored image" } },
    h("div", { class: "stack" }, content,
      h("div", { class: "row" }, newer, older, h("button", { type: "button", on: { click: () => dialog.close() } }, "Close"))));

  async function show(next) {
    if (next === null) return;
    shown = next;
    asking.abort();
    asking = new AbortController();
    const mine = asking.signal;
    newer.disabled = beside(shown, -1) === null;
    older.disabled = beside(shown, 1) === null;
    onShow(shown);
    fill(content, loading());
    try {
      const told = await get(path`/v1/images/${next}`, { signal: mine });
      if (!mine.aborted) fill(content, details(told, detector, onSaid));
    } catch (error) {
      if (!mine.aborted) fill(content, failure(error));
    }
  }

  dialog.addEventListener("close", () => {
    asking.abort();
    dialog.remove();
    if (!signal.aborted) onShow(null);
  });
  signal.addEventListener("abort", () => dialog.close());
  document.body.append(dialog);
  dialog.showModal();
  return show(id);
}

function details({ image, reviews: said }, detector, onSaid) {
  const facts = [
    ["Scored", moment(image.at)],
    ["Judged by", `${image.detector}, version ${image.version}`],
    ["Score", score(image.score)],
    ["Threshold", score(image.threshold)],
    image.group && ["Group", image.group],
  ].filter(Boolean);
  const identity = [["Id of the image", image.id], ["SHA-256 of the file", image.sha256]];
  return [
    h("h2", {}, image.name || "(no name)"),
    h("p", { class: `verdict ${kind(image.verdict)}` }, word(image.verdict)),
    h("p", {}, meaning(image.verdict), image.threshold !== null && ` ${chance(image.p_value, calibrationOf(detector, image.version))}`),
    gauge({ score: image.score, threshold: image.threshold }),
    image.threshold !== null && h("p", { class: "small" }, `The score lies ${distance(image.score, image.threshold)}.`),
    list(facts),
    h("details", { class: "small" }, h("summary", {}, "Which file it was"), list(identity)),
    h("p", { class: "small muted" }, "The service keeps what it said and the numbers behind it, but no images. To see where this one is odd, drop its file on ",
      h("a", { href: to`/detectors/${image.detector}/inspect` }, "Inspect"), "; that scores it anew."),
    image.verdict !== "uncalibrated" && reviews({ image: image.id, verdict: image.verdict, said, onSaid }),
  ];
}

const list = (pairs) => h("dl", { class: "small" }, pairs.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
