// What a detector's samples are: images, or of another kind; their words, and the files they come in.

import { get } from "../api.js";
import { plural } from "../format.js";
import { TEXT } from "./files.js";

const ARCHIVES = [".zip", ".tar", ".gz", ".tgz"];

/** Images, which every page takes a detector's samples for unless it is told otherwise. */
export const IMAGE = {
  name: "image", one: "image", many: "images", isImage: true, pairs: false,
  accept: "image/*",
  archives: ARCHIVES,
  takes: (file) => file.type.startsWith("image/"),
  inWords: "image files, or one zip or tar",
};

/**
 * Return a kind of samples: {name, one, many, isImage, pairs, accept, archives, takes, inWords}.
 *
 * `one` and `many` are what they are called, `accept` what a chooser of files shows, `archives` the
 * endings of archives of them, `takes(file)` whether a file is one, by its ending; `pairs` is whether a
 * file and a text of the same name are one sample.
 * @param {string} name
 * @param {{kinds: Object}} info what the service says of itself.
 */
export function kindOf(name, { kinds }) {
  const told = kinds[name];
  if (name === IMAGE.name || !told) return IMAGE;
  const suffixes = told.pairs ? [...told.suffixes, TEXT] : told.suffixes;
  const archives = ARCHIVES.filter((each) => !suffixes.includes(each)); // what is a sample is no archive
  return {
    name, one: told.sample, many: plural(told.sample), isImage: false, pairs: Boolean(told.pairs),
    accept: suffixes.join(","),
    archives,
    takes: (file) => suffixes.some((each) => file.name.toLowerCase().endsWith(each)),
    inWords: `files (${told.suffixes.join(", ")})${told.pairs ? `, each with its ${TEXT} beside it` : ""}, or one ${archives.includes(".zip") ? "zip or tar" : "tar"}`,
  };
}

/** Return what a detector's samples are; the service is asked where they are no images. */
export async function samplesOf(detector, signal) {
  return isOfImages(detector) ? IMAGE : kindOf(detector.kind, await get("/v1/info", { signal }));
}

export const isOfImages = ({ kind }) => kind === IMAGE.name;

/** The words for a detector's samples where the service need not be asked what they are called. */
export const wordFor = (detector) => (isOfImages(detector) ? "image" : "sample");
