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
 * Return files, each with its `text`, of the same folder and name but for the ending, if there is one;
 * a text without a file stands for itself.
 */
export function paired(files) {
  const stem = ({ path }) => path.replace(/\.[^./]*$/, "");
  const isText = ({ path }) => path.toLowerCase().endsWith(TEXT);
  const texts = new Map(files.filter(isText).map((each) => [stem(each), each.file]));
  const others = new Set(files.filter((each) => !isText(each)).map(stem));
  return files.filter((each) => !isText(each) || !others.has(stem(each)))
    .map((each) => ({ ...each, text: isText(each) ? undefined : texts.get(stem(each)) }));
}

/** Say which files are left out, if any: a list of no or one sentence. */
export function leftOut(others, kind) {
  if (others.length === 0) return [];
  const some = others.slice(0, 3).map((each) => each.path).join(", ");
  return [`${counted(others.length, "file")} left out, being no ${kind.one}: ${some}${others.length > 3 ? " and others" : ""}.`];
}
