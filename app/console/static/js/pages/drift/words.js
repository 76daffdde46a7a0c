// What the words of monitoring mean, in a line each.

import { h } from "../../dom.js";

export const STATES = {
  in_control: ["good", "Normal"],
  warming_up: ["note", "Warming up"],
  alarm: ["bad", "Alarm"],
  disabled: ["", "Not watched"],
};

const WATCHES = {
  bulk: ["Scores", "scores of images that are not flagged: whether they move or spread. Defects do not count."],
  rate: ["Share of high scores", "whether more images than in calibration have the highest scores: more defects."],
  frozen: ["Scores, against the baseline", "as scores, but against the baseline alone, so that a slow change cannot hide in what came before."],
  brightness: ["Brightness", "how bright images are: lamp, exposure."],
  contrast: ["Contrast", "how far bright and dark parts differ: haze, a dirty lens, exposure."],
  sharpness: ["Sharpness", "how crisp images are: focus, movement, a wet lens."],
  window: ["Windows of images", "whether many images as one set differ from the baseline in what the network sees."],
};
const STATISTICS = {
  mean: "Where features lie",
  diagonal: "How far they spread",
  mmd: "Any other difference",
  scores: "Their scores",
};
const PARTS = { mean: "Mean", scale: "Scale", correlation: "Correlation", total: "Total" };

/** The name of what a monitor watches; one that is not known here has its own. */
export const watched = (name) => WATCHES[name]?.[0] ?? name;
export const statistic = (name) => STATISTICS[name] ?? name;
export const part = (name) => PARTS[name] ?? name;

/** Return the explanations, to be opened. */
export function explained() {
  return h("details", { class: "card" },
    h("summary", {}, "What these words mean"),
    h("p", {}, "An anomaly is one odd image. Drift is when the traffic as a whole has moved: then scores mean something else than when the threshold was set."),
    h("dl", { class: "drift-words" }, Object.entries(WATCHES).map(([name, [title, what]]) => [
      h("dt", {}, title, " ", h("code", {}, name)),
      h("dd", {}, `Watches ${what}`),
    ])),
    h("p", {}, "Evidence is what bets against “nothing has changed” would have won, as a power of ten: 3 stands for a thousandfold. It rarely grows by chance, and the line is set so that the promise on false alarms holds."),
    h("p", {}, "A p-value is how often chance alone would make a difference as large. Nats measure how different the distribution of features is; they explain, and decide nothing."));
}
