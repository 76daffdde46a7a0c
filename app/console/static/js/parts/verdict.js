// Verdicts in words: short ones for lists, and what they mean for where there is room.

import { score } from "../format.js";
import { badge } from "./states.js";

const VERDICTS = {
  normal: ["good", "Normal", "Like the pictures that were fitted: the score is below the threshold."],
  uncertain: ["warn", "Uncertain", "Below the threshold, but near enough for a person to look at it."],
  anomalous: ["bad", "Anomalous", "The score is above the threshold: the image is flagged."],
  uncalibrated: ["note", "No verdict", "There is a score, but no threshold to hold it against."],
  invalid: ["warn", "Invalid", "The file could not be judged."],
};

export const word = (verdict) => VERDICTS[verdict][1];
export const meaning = (verdict) => VERDICTS[verdict][2];
export const kind = (verdict) => VERDICTS[verdict][0];

/** Return a verdict in a pill. */
export const verdictBadge = (verdict) => badge(kind(verdict), word(verdict));

/** Return a p-value as a sentence about normal images; "" if there is none. */
export function chance(pValue) {
  if (pValue === null || pValue === undefined) return "";
  const least = score(pValue, 2);
  if (pValue > 0.2) return `About ${Math.round(100 * pValue)} in 100 normal images score at least as high (p-value ${least}).`;
  return `About 1 in ${Math.round(1 / pValue)} normal images scores at least as high (p-value ${least}).`;
}

/** Return how far a score lies from the threshold, as words. */
export function distance(value, threshold) {
  const margin = value - threshold;
  const share = threshold > 0 ? `, ${Math.round((100 * Math.abs(margin)) / threshold)} % of it` : "";
  return `${score(Math.abs(margin), 3)} ${margin > 0 ? "above" : "below"} the threshold${share}`;
}
