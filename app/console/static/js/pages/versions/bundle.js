// A detector as one file: taken away from here, brought in from elsewhere.

import { get, upload } from "../../api.js";
import { fill, h } from "../../dom.js";
import { bytes, score } from "../../format.js";
import { ask } from "../../parts/dialog.js";
import { check, field } from "../../parts/field.js";
import { busy, say } from "../../parts/messages.js";
import { box } from "../../parts/states.js";
import { to } from "../../router.js";

/** Return the button that downloads a version; a link could not send the key. */
export function take(number, { at, name, signal }) {
  const button = h("button", {
    type: "button", aria: { label: `Export version ${number}` },
    on: {
      click: async () => {
        const rows = h("input");
        const given = await ask({
          title: `Export version ${number}?`,
          text: "One file, which another gatewatch with the same backbone can import.",
          extra: check("With the rows of its images", rows, "Larger; images can be forgotten there then."),
          action: "Export",
        });
        if (given === null) return;
        await busy(button, async () => {
          const bundle = await get(`${at}/export`, { query: { version: number, rows: rows.checked, ...given }, signal });
          save(bundle, `${name}-v${number}.gatewatch`);
          say(`Version ${number} is exported, ${bytes(bundle.size)}.`);
        });
      },
    },
  }, "Export");
  return button;
}

function save(blob, name) {
  const href = URL.createObjectURL(blob);
  h("a", { href, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(href), 60_000); // the browser may still be reading it
}

/** Return the form that makes a new detector of an exported file. */
export function bringing(signal) {
  const file = h("input", { type: "file", accept: ".gatewatch,.zip", required: true });
  const name = h("input", { autocomplete: "off", spellcheck: false });
  const button = h("button", { type: "submit" }, "Import");
  const told = h("div", { class: "stack", aria: { live: "polite" } });
  const form = h("form", {
    class: "form",
    on: {
      submit: (event) => {
        event.preventDefault();
        return busy(button, () => brought(file.files[0], name.value.trim(), told, signal));
      },
    },
  },
  field("File", file, "As exported by gatewatch; it ends in .gatewatch."),
  field("Name of the new detector", name, "Empty: the one it had."),
  h("div", {}, button), told);
  return h("details", { class: "card" },
    h("summary", {}, "Import a detector"),
    h("p", { class: "muted" }, "Makes a new detector of an exported file, after golden images have had the same scores here as there."),
    form);
}

async function brought(file, name, told, signal) {
  const bar = h("progress", { value: 0, max: 1, aria: { label: "Sent" } });
  fill(told, bar);
  try {
    const made = await upload("POST", "/v1/import", {
      query: { name }, body: file, type: "application/zip", signal, onProgress: (part) => { bar.value = part; },
    });
    const { name: called } = made.detector;
    fill(told,
      box("good", [`${called} is imported; its scores differ by ${score(made.worst_difference, 2)} at most, as a share.`]),
      !made.rows_kept && box("note", ["Its rows did not come along: images cannot be forgotten one by one here."]),
      h("div", {}, h("a", { class: "button", href: to`/detectors/${called}/versions` }, `To ${called}`)));
  } catch (error) {
    fill(told, error.name !== "AbortError" && box("bad", [error.message]));
  }
}
