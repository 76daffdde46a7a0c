// What a detector's samples are: images, or of another kind; their words, and the files they come in.

import { get } from "../api.js";
import { plural } from "../format.js";

const ARCHIVES = [".zip", ".tar", ".gz", ".tgz"];

/** Images, which every page takes a detector's samples for unless it is told otherwise. */
export const IMAGE = {
  name: "image", one: "image", many: "images", isImage: true,
  accept: "image/*",
  archives: ARCHIVES,
  takes: (file) => file.type.startsWith("image/"),
  inWords: "image files, or one zip or tar",
};

/**
 * Return a kind of samples: {name, one, many, isImage, accept, archives, takes, inWords}.
 *
 * `one` and `many` are what they are called, `accept` what a chooser of files shows, `archives` the
 * endings of archives of them, `takes(file)` whether a file is one, by its ending.
 * @param {string} name
 * @param {{kinds: Object}} info what the service says of itself.
 */
export function kindOf(name, { kinds }) {
  const told = kinds[name];
  if (name === IMAGE.name || !told) return IMAGE;
  const archives = ARCHIVES.filter((each) => !told.suffixes.includes(each)); // what is a sample is no archive
  return {
    name, one: told.sample, many: plural(told.sample), isImage: false,
    accept: told.suffixes.join(","),
    archives,
    takes: (file) => told.suffixes.some((each) => file.name.toLowerCase().endsWith(each)),
    inWords: `files (${told.suffixes.join(", ")}), or one ${archives.includes(".zip") ? "zip or tar" : "tar"}`,
  };
}

/** Return what a detector's samples are; the service is asked where they are no images. */
export async function samplesOf(detector, signal) {
  return isOfImages(detector) ? IMAGE : kindOf(detector.kind, await get("/v1/info", { signal }));
}

export const isOfImages = ({ kind }) => kind === IMAGE.name;

/** The words for a detector's samples where the service need not be asked what they are called. */
export const wordFor = (detector) => (isOfImages(detector) ? "image" : "sample");
