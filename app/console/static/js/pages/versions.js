// A detector's versions: which serves, how each came about, and back again.

import { get, path } from "../api.js";
import { fill, h } from "../dom.js";
import { counted } from "../format.js";
import { can } from "../session.js";
import { ofDetector } from "./detector.js";
import { rollback } from "./versions/actions.js";
import { bringing } from "./versions/bundle.js";
import { comparing } from "./versions/compare.js";
import { entry } from "./versions/entry.js";
import { shadowed } from "./versions/shadow.js";

const PAGE = 100;

export const versions = ofDetector("versions", async ({ params, signal, refresh }, detector) => {
  const at = path`/v1/detectors/${params.name}`;
  const [{ versions: found }, shadow] = await Promise.all([
    get(`${at}/versions`, { signal }), get(`${at}/shadow`, { signal }),
  ]);
  const newest = found.toReversed();
  const parents = new Set(found.map((each) => each.parent));
  const context = { at, name: params.name, detector, parents, signal, refresh };
  return h("div", { class: "stack" },
    shadow.shadow !== null && shadowed(shadow, context),
    h("section", { class: "stack", aria: { label: "All versions" } },
      h("div", { class: "head versions-head" },
        h("div", {},
          h("h2", {}, counted(found.length, "version")),
          h("p", { class: "muted small" }, "Every fit, calibration and threshold makes one; none is ever changed. Newest first.")),
        h("div", { class: "row" }, can("admin") && rollback(context))),
      pages(newest, (version) => entry(version, context))),
    newest.length > 1 && comparing(context, newest),
    can("admin") && bringing(signal));
});

/** The first of many, and more when asked for. */
function pages(all, shown) {
  const list = h("ol", { class: "versions", reversed: true });
  const more = h("button", { type: "button", on: { click: next } }, "Show older versions");
  const place = h("div", {});
  function next() {
    const from = list.childElementCount;
    list.append(...all.slice(from, from + PAGE).map(shown));
    fill(place, list.childElementCount < all.length && more);
    if (from > 0) list.children[from].querySelector("a, button")?.focus();
  }
  next();
  return h("div", { class: "stack" }, list, place);
}
