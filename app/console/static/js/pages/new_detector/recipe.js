// How a detector judges, for those who have a reason to choose; every choice has a default.

import { h } from "../../dom.js";
import { capital } from "../../format.js";
import { check, choice, field } from "../../parts/field.js";

const SCORERS = {
  fusion: "fusion: the whole image and its worst places together",
  regional: "regional: the worst places alone",
  gaussian: "gaussian: the whole image alone",
  kl: "kl: how the places of an image spread",
  prototype: "prototype: plain distance to the mean",
};
const DESCRIPTORS = {
  squeeze: "squeeze: the mean of each channel",
  squeeze_stats: "squeeze_stats: mean, spread and maximum",
  gate: "gate: the network's own gates",
  gate_logit: "gate_logit: the gates before they saturate",
  regional: "regional: means over a grid of places",
};
const SIZES = [128, 192, 256, 320, 384, 512];

// They look at the places of an image.
const OF_IMAGES = { scorers: ["fusion", "regional", "kl"], descriptors: ["regional"] };

/**
 * Return {node, values}: the choices, and those that are not the default as the API names them.
 * @param {{scorers: Array<string>, descriptors: Array<string>}} info what the service says of itself.
 * @param {{many: string, isImage: boolean}} samples what is judged; some choices are of images alone.
 */
export function recipe({ scorers, descriptors }, { many, isImage }) {
  const offered = (names, words, without) => names.filter((each) => isImage || !without.includes(each)).map((each) => [each, worded(words, each, isImage)]);
  const scorer = choice([["", isImage ? "Default (fusion)" : "Default"], ...offered(scorers, SCORERS, OF_IMAGES.scorers)], "");
  const descriptor = choice([["", "The scorer's own"], ...offered(descriptors, DESCRIPTORS, OF_IMAGES.descriptors)], "");
  const size = choice(SIZES.map((each) => [String(each), `${each} × ${each} pixels${each === 256 ? " (default)" : ""}`]), "256");
  const normalise = choice([["none", "As they are (default)"], ["l2", "l2: all of the same length"], ["zscore", "zscore: each channel by its spread"]], "none");
  const covariance = choice([["full", "full (default)"], ["diagonal", "diagonal: ignores how channels go together"]], "full");
  const aligned = h("input", { checked: true });
  const flips = h("input", {});
  const memory = number(0, 20000);
  const evidence = number(64, 1000);
  return {
    node: h("details", {},
      h("summary", {}, "More: how it judges"),
      h("div", { class: "columns" },
        field("Scorer", scorer, `How the distance from normal is measured.${isImage ? " fusion and regional also say where in the image." : ""}`),
        field("Descriptor", descriptor, "What of the network is looked at. Not every scorer takes every one: the service says which."),
        isImage && field("Image size", size, "Images are resized to this. Small defects need more; twice the side takes four times the work."),
        field("Scale of the rows", normalise, "How the measured values are scaled before they are compared."),
        field("Covariance", covariance, "Whether values that vary together count as such."),
        isImage && field("Memory", memory, "Instead of statistics per place, so many remembered places to compare with, 0 to 20,000. 0: none."),
        field(`${capital(many)} kept as evidence`, evidence, `Thumbnails of fitted ${many}, to show the nearest beside a flagged one. 0: none.`)),
      isImage && h("div", { class: "stack" },
        check("Parts always lie the same way", aligned, "Each place of the image has its own normal. Untick it for parts that lie anyhow."),
        check("Mirrored images are normal, too", flips, "Fitting sees every image mirrored as well: four times the work."))),
    values: () => ({
      ...(scorer.value && { scorer: scorer.value }),
      ...(descriptor.value && { descriptor: descriptor.value }),
      ...(isImage && { image_size: Number(size.value) }),
      options: {
        normalise: normalise.value, covariance: covariance.value, evidence: whole(evidence.value, 64),
        ...(isImage && { aligned: aligned.checked, flips: flips.checked, memory: whole(memory.value, 0) }),
      },
    }),
  };
}

/** Of other samples than images the name alone: what is said of it is said of images. */
const worded = (words, name, isImage) => (isImage ? (words[name] ?? name) : name);
const number = (value, max) => h("input", { type: "number", min: 0, max, step: 1, value });
const whole = (text, otherwise) => (text === "" ? otherwise : Number(text));
