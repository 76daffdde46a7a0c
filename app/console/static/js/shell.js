// The bar above every page: where one is, where one may go, and who one is.

import { fill, h } from "./dom.js";
import * as session from "./session.js";

const PLACES = [
  ["/detectors", "Detectors", "score"],
  ["/jobs", "Jobs", "fit"],
  ["/audit", "Audit", "admin"],
  ["/keys", "Keys", "admin"],
];

/** Show the bar for an address. */
export function shell(place, where, onSignOut) {
  const places = PLACES.filter(([, , role]) => session.can(role));
  fill(place, h("div", { class: "bar" },
    h("a", { class: "brand", href: "#/detectors" }, h("img", { src: "icon.svg", alt: "" }), "gatewatch"),
    session.me && h("nav", { aria: { label: "Pages" } }, links(places.map(([at, text]) => [`#${at}`, text, where.startsWith(at)]))),
    session.me && h("div", { class: "who" },
      h("span", {}, `${session.me.name} · ${session.me.role}`),
      session.key() && h("button", { type: "button", on: { click: onSignOut } }, "Sign out"))));
}

/** Return links beside each other; each is [href, text, whether one is there]. */
export function links(each) {
  return h("ul", { class: "links" }, each.map(([href, text, isHere]) =>
    h("li", {}, h("a", { href, aria: { current: isHere ? "page" : null } }, text))));
}
