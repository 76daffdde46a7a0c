// The names that images are sent under, and the folders that become their groups.

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

/** Return each group's number of images, by name; "" holds those that lie in no folder. */
export function groups(sent) {
  const found = new Map();
  for (const name of sent) {
    const folder = name.split("/").slice(0, -1).join("/");
    found.set(folder, (found.get(folder) ?? 0) + 1);
  }
  return new Map([...found].toSorted(([a], [b]) => (a < b ? -1 : 1)));
}
