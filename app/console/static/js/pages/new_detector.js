// Create a detector: its name, and if wanted what its samples are, how they are looked at and judged.

import { get, post } from "../api.js";
import { fill, h } from "../dom.js";
import { field } from "../parts/field.js";
import { busy } from "../parts/messages.js";
import { box, empty } from "../parts/states.js";
import { go, to } from "../router.js";
import { can } from "../session.js";
import { kinds } from "./new_detector/kinds.js";
import { recipe } from "./new_detector/recipe.js";
import { region } from "./new_detector/region.js";

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;

export async function newDetector({ signal }) {
  const head = h("div", { class: "head" }, h("h1", {}, "New detector"));
  if (!can("fit")) return h("div", {}, head, empty("Not for this role", "Creating a detector takes a key of role fit or admin."));
  const [info, { detectors }] = await Promise.all([get("/v1/info", { signal }), get("/v1/detectors", { signal })]);
  const taken = new Set(detectors.map((each) => each.name));
  const name = h("input", { required: true, maxLength: 63, autocomplete: "off", spellcheck: false, autocapitalize: "none", on: { input: () => check() } });
  const wrong = h("p", { id: "name-error", class: "error", role: "alert" });
  const trouble = h("div", { role: "alert" });
  const area = region({ signal });
  const kind = kinds(info, () => show());
  const suits = h("span", {});
  const judging = h("div", {});
  let how = null;
  const create = h("button", { type: "submit", class: "primary" }, "Create");

  /** Say what is wrong with the name as it is typed; nothing while there is none. */
  function check(isSent = false) {
    wrong.textContent = name.value === "" && isSent ? "Give it a name." : sayWrong(name.value, taken);
    name.setAttribute("aria-invalid", wrong.textContent !== "");
    return wrong.textContent === "";
  }

  /** What is of images alone is left out for another kind. */
  function show() {
    const samples = kind.samples();
    fill(suits, samples.isImage ? "The defaults suit most cameras" : `The defaults suit most ${samples.many}`);
    area.node.hidden = !samples.isImage;
    how = recipe(info, samples);
    fill(judging, how.node);
  }

  function asked() {
    const { isImage, name: what } = kind.samples();
    return { name: name.value, ...(isImage ? { mask: area.mask() } : { kind: what, view: kind.view() }), ...how.values() };
  }

  async function submit(event) {
    event.preventDefault();
    fill(trouble);
    const unready = kind.samples().isImage ? area.problem() : "";
    if (!check(true)) return name.focus();
    if (unready) return fill(trouble, box("bad", [unready]));
    return busy(create, async () => {
      try {
        const made = await post("/v1/detectors", { json: asked(), signal });
        go(to`/detectors/${made.name}/learn`.slice(1));
      } catch (error) {
        if (error.name === "AbortError") throw error;
        fill(trouble, box("bad", [error.message], error.title)); // beside the form, where it is to be mended
      }
    });
  }

  const named = field("Name", name, "Of what it looks at, as lid-camera-2. Letters, digits, dot, dash and underscore.");
  named.append(wrong);
  name.setAttribute("aria-describedby", `${name.getAttribute("aria-describedby")} ${wrong.id}`);
  show();
  return h("div", {}, head, h("form", { class: "form wide card", noValidate: true, on: { submit } },
    h("p", { class: "muted" }, suits, ": a name is enough. What is chosen here stays as it is; another choice is another detector."),
    named, kind.node, area.node, judging, trouble,
    h("div", { class: "row" }, create, h("a", { class: "button", href: "#/detectors" }, "Cancel"))));
}

function sayWrong(name, taken) {
  if (name === "") return "";
  if (taken.has(name)) return "There is a detector of this name already: choose another.";
  if (!/^[A-Za-z0-9]/.test(name)) return "Begin with a letter or a digit.";
  const strange = name.match(/[^A-Za-z0-9._-]/u)?.[0];
  if (strange) return strange === " " ? "Spaces are not allowed: use a dash." : `“${strange}” is not allowed: letters, digits, dot, dash and underscore are.`;
  return NAME.test(name) ? "" : "At most 63 characters.";
}
