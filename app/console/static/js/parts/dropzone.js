// Where files and folders are dropped, pasted or chosen.

import { h } from "../dom.js";
import { say } from "./messages.js";

/**
 * Return a place for files.
 * @param {{title: string, hint?: string, accept?: string, folders?: boolean, paste?: boolean,
 *   signal: AbortSignal, onFiles: (files: Array<{file: File, path: string}>) => void}} what
 *   `path` is the file's name with the folders it was found in; `folders` offers to choose one;
 *   `paste` takes images from the clipboard while the page is shown.
 */
export function dropzone({ title, hint = "", accept = "image/*", folders = false, paste = false, signal, onFiles }) {
  const given = (files) => files.length > 0 && onFiles(files);
  const zone = h("div", { class: "dropzone", role: "group", aria: { label: title } },
    h("strong", {}, title),
    hint && h("span", { class: "muted small" }, hint),
    h("div", { class: "row" },
      chooser("Choose files", { accept, multiple: true }, given),
      folders && chooser("Choose a folder", { webkitdirectory: true }, given)));
  zone.addEventListener("dragover", (event) => {
    event.preventDefault();
    zone.classList.add("over");
  });
  zone.addEventListener("dragleave", () => zone.classList.remove("over"));
  zone.addEventListener("drop", async (event) => {
    event.preventDefault();
    zone.classList.remove("over");
    // Entries are gone once the event is over: all of them first, then what is in them.
    const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry()).filter(Boolean);
    try {
      given((await Promise.all(entries.map(filesOf))).flat());
    } catch (error) {
      say(`What was dropped could not be read: ${error.message}`, "bad");
    }
  });
  if (paste) {
    document.addEventListener("paste", (event) => {
      const files = [...(event.clipboardData?.files ?? [])];
      given(files.map((file) => ({ file, path: file.name })));
    }, { signal });
  }
  return zone;
}

function chooser(text, properties, given) {
  const input = h("input", {
    type: "file", hidden: true, ...properties,
    on: {
      change: () => {
        given([...input.files].map((file) => ({ file, path: file.webkitRelativePath || file.name })));
        input.value = ""; // the same files may be chosen again
      },
    },
  });
  return [h("button", { type: "button", on: { click: () => input.click() } }, text), input];
}

async function filesOf(entry) {
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    return [{ file, path: entry.fullPath.replace(/^\//, "") }];
  }
  const reader = entry.createReader();
  const found = [];
  for (;;) {
    // At most a hundred at a time, and an empty list at the end.
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) return (await Promise.all(found.map(filesOf))).flat();
    found.push(...some);
  }
}
