// A person's word on a verdict: what was said, and for who may review, the buttons to say more.

import { post } from "../api.js";
import { fill, h } from "../dom.js";
import { ago, moment } from "../format.js";
import { can } from "../session.js";
import { field } from "./field.js";
import { busy, say } from "./messages.js";

const WORDS = { confirmed: "Confirmed anomaly", false_alarm: "False alarm", passed: "Right to pass", missed: "Missed anomaly" };
const OFFERED = { anomalous: ["confirmed", "false_alarm"], normal: ["passed", "missed"], uncertain: ["passed", "missed"] };
const ASKED = {
  anomalous: "Was the alarm right?",
  normal: "Is there a defect the detector did not see?",
  uncertain: "Is there a defect after all?",
};

export const reviewWord = (word) => WORDS[word];

/**
 * Return the reviews of an image, latest first.
 * @param {{image: string, verdict: string, said: Array<Object>, one?: string,
 *   onSaid?: (review: Object) => void}} what `image` is its id; `one` what it is called; `onSaid` is
 *   called with each review that is added.
 */
export function reviews({ image, verdict, said, one: what = "image", onSaid = () => {} }) {
  const list = h("div", { role: "status" });
  let known = said;
  const show = () => fill(list, known.length
    ? h("ul", { class: "reviews" }, known.map((review, i) => one(review, known.length > 1 && i === 0)))
    : h("p", { class: "muted small" }, `Nobody has reviewed this ${what} yet.`));
  show();

  const note = h("input", { maxLength: 1000, autocomplete: "off" });
  const offered = can("fit") ? (OFFERED[verdict] ?? []) : [];
  const buttons = offered.map((word) => {
    const button = h("button", { type: "button", data: { word }, on: { click: () => busy(button, () => add(word)) } }, WORDS[word]);
    return button;
  });

  async function add(word) {
    const made = await post("/v1/reviews", { json: { image, word, note: note.value.trim() } });
    known = [made, ...known];
    note.value = "";
    show();
    onSaid(made);
    say(`Kept: ${WORDS[word].toLowerCase()}.`);
  }

  return h("section", { class: "stack review", aria: { label: "Review" } },
    h("h3", {}, "Review"),
    list,
    buttons.length > 0 && h("div", { class: "stack tight" },
      h("p", { class: "small" }, ASKED[verdict]),
      field("Note", note, "Optional, kept with the review."),
      h("div", { class: "row" }, buttons)));
}

function one(review, counts) {
  return h("li", {},
    h("strong", {}, WORDS[review.word]), counts && " (the one that counts)",
    h("span", { class: "muted small", title: moment(review.at) }, ` ${review.who}, ${ago(review.at)}`),
    review.note && h("div", { class: "small" }, review.note));
}
