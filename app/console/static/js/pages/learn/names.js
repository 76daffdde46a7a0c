// What dropped files are: pictures or archives, and the folders that become their groups.

const ARCHIVES = [
  [/\.zip$/i, "application/zip"],
  [/\.tar$/i, "application/x-tar"],
  [/\.(tar\.gz|tgz)$/i, "application/gzip"],
];
const CLUTTER = /(^|\/)(\._[^/]*|\.ds_store|thumbs\.db|desktop\.ini|__macosx\/.*)$/i;

/** Return the media type of an archive; undefined if the file is none. */
export function archiveType(file) {
  return ARCHIVES.find(([ending]) => ending.test(file.name))?.[1];
}

/** Return files as {pictures, archives, others}; what desktops leave in folders is in none of them. */
export function sorted(files) {
  const found = { pictures: [], archives: [], others: [] };
  for (const each of files) {
    if (CLUTTER.test(each.path)) continue;
    if (archiveType(each.file)) found.archives.push(each);
    else if (each.file.type.startsWith("image/")) found.pictures.push(each);
    else found.others.push(each);
  }
  return found;
}

/**
 * Return the names to send, in the order of the paths. The folders that all of them share say nothing
 * and go, but where all lie in one folder that keeps its name: it may be a lot of its own.
 * @param {Array<string>} paths
 */
export function names(paths) {
  const folders = paths.map((each) => each.split("/").slice(0, -1));
  const first = folders[0] ?? [];
  let shared = first.findIndex((part, i) => folders.some((each) => each[i] !== part));
  if (shared < 0) shared = first.length;
  const isOneFolder = folders.every((each) => each.length === shared);
  const left = isOneFolder ? Math.max(0, shared - 1) : shared;
  return paths.map((each) => each.split("/").slice(left).join("/"));
}

/** Return each group's number of pictures, by name; "" holds those that lie in no folder. */
export function groups(sent) {
  const found = new Map();
  for (const name of sent) {
    const folder = name.split("/").slice(0, -1).join("/");
    found.set(folder, (found.get(folder) ?? 0) + 1);
  }
  return new Map([...found].sort(([a], [b]) => (a < b ? -1 : 1)));
}
