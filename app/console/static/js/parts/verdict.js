// Verdicts in words: short ones for lists, and what they mean for where there is room.

import { count, counted, score } from "../format.js";
import { IMAGE } from "./kinds.js";
import { badge } from "./states.js";

const VERDICTS = {
  normal: ["good", "Normal", ({ many }) => `Like the ${many} that were fitted: the score is below the threshold.`],
  uncertain: ["warn", "Uncertain", () => "Below the threshold, but near enough for a person to look at it."],
  anomalous: ["bad", "Anomalous", ({ one }) => `The score is above the threshold: the ${one} is flagged.`],
  uncalibrated: ["note", "No verdict", () => "There is a score, but no threshold to hold it against."],
  unscored: ["warn", "Not scored", () => "The request for it failed."],
  invalid: ["warn", "Invalid", () => "The file could not be judged."],
};

export const word = (verdict) => VERDICTS[verdict][1];
export const meaning = (verdict, samples = IMAGE) => VERDICTS[verdict][2](samples);
export const kind = (verdict) => VERDICTS[verdict][0];

/** Return a verdict in a pill. */
export const verdictBadge = (verdict) => badge(kind(verdict), word(verdict));

/**
 * Return a p-value as a sentence about normal samples; "" if there is none.
 * @param {number|null} images of the calibration it is taken from, where that is known: their number
 *   is what the smallest p-value comes from, which says nothing of how much rarer it may be.
 */
export function chance(pValue, images = null, { one, many } = IMAGE) {
  if (pValue === null || pValue === undefined) return "";
  if (images && Math.abs(pValue * (images + 1) - 1) < 1e-6) {
    return `None of the ${counted(images, `calibration ${one}`)} scored as high: at most about 1 in ${count(images + 1)} normal ${many} does (p-value ${score(pValue, 2)}).`;
  }
  const least = score(pValue, 2);
  if (pValue > 0.2) return `About ${Math.round(100 * pValue)} in 100 normal ${many} score at least as high (p-value ${least}).`;
  return `About 1 in ${Math.round(1 / pValue)} normal ${many} scores at least as high (p-value ${least}).`;
}

/** Return how many images a detector's p-values are taken from; null for another version, or where each group has its own. */
export function calibrationOf(detector, version) {
  const isGrouped = Object.keys(detector.threshold?.by_group ?? {}).length > 0;
  return detector.version === version && !isGrouped ? detector.calibration_images : null;
}

/** Return how far a score lies from the threshold, as words. */
export function distance(value, threshold) {
  const margin = value - threshold;
  const share = threshold > 0 ? `, ${Math.round((100 * Math.abs(margin)) / threshold)} % of it` : "";
  return `${score(Math.abs(margin), 3)} ${margin > 0 ? "above" : "below"} the threshold${share}`;
}
