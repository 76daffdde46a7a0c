// What dropped files are: images, archives, or neither.

import { counted } from "../format.js";

const ARCHIVES = [
  [/\.zip$/i, "application/zip"],
  [/\.tar$/i, "application/x-tar"],
  [/\.(tar\.gz|tgz)$/i, "application/gzip"],
];
/** The ending of a text that belongs to a file. */
export const TEXT = ".txt";
const CLUTTER = /(^|\/)(\._[^/]*|\.ds_store|thumbs\.db|desktop\.ini|__macosx\/.*)$/i;

/** Return the media type of an archive; undefined if the file is none. */
export function archiveType(file) {
  return ARCHIVES.find(([ending]) => ending.test(file.name))?.[1];
}

/**
 * Return files as {images, archives, others}: samples of a kind, archives of them, and neither; what
 * desktops leave in folders is in none of them.
 */
export function sorted(files, kind) {
  const found = { images: [], archives: [], others: [] };
  for (const each of files) {
    if (CLUTTER.test(each.path)) continue;
    if (kind.takes(each.file)) found.images.push(each);
    else if (archiveType(each.file)) found.archives.push(each);
    else found.others.push(each);
  }
  return found;
}

/**
 * Return files, each with the `text` that belongs to it, as the service matches them: of the same folder
 * and name but for the ending, if no third file is called so. Any other text stands for itself.
 */
export function paired(files) {
  const isText = ({ path }) => path.toLowerCase().endsWith(TEXT);
  const alike = Map.groupBy(files, ({ path }) => path.replace(/\.[^./]*$/, ""));
  const texts = new Map();
  for (const each of alike.values()) {
    if (each.length === 2 && isText(each[0]) !== isText(each[1])) texts.set(each.find((one) => !isText(one)), each.find(isText));
  }
  const used = new Set(texts.values());
  return files.filter((each) => !used.has(each)).map((each) => ({ ...each, text: texts.get(each)?.file }));
}

/** Say which files are left out, if any: a list of no or one sentence. */
export function leftOut(others, kind) {
  if (others.length === 0) return [];
  const some = others.slice(0, 3).map((each) => each.path).join(", ");
  return [`${counted(others.length, "file")} left out, being no ${kind.one}: ${some}${others.length > 3 ? " and others" : ""}.`];
}
