// What stands where the content is not there: it comes, there is none yet, or it failed.

import { h } from "../dom.js";

export function loading(text = "Loading") {
  return h("div", { class: "state", role: "status" }, h("div", { class: "spinner", aria: { hidden: "true" } }), h("p", {}, text));
}

/** Nothing is there yet; the action, an element, says how something comes there. */
export function empty(title, text, action = null) {
  return h("div", { class: "state" }, h("h2", {}, title), h("p", {}, text), action);
}

/** It failed; what to do is in the problem's own words. */
export function failure(error, again = null) {
  return h("div", { class: "state", role: "alert" },
    h("h2", {}, error.title ?? "Something went wrong"),
    h("p", {}, error.message),
    again && h("button", { type: "button", on: { click: () => again() } }, "Try again"));
}

/** Sentences to know, one below the other; null if there are none. Kind: good, warn, bad or note. */
export function box(kind, texts, title = "") {
  if (texts.length === 0) return null;
  return h("div", { class: `box ${kind}` },
    title && h("p", {}, h("strong", {}, title)),
    texts.length === 1 ? h("p", {}, texts[0]) : h("ul", {}, texts.map((text) => h("li", {}, text))));
}

/** A word in a pill; never told by its colour alone. */
export function badge(kind, text) {
  return h("span", { class: `badge ${kind}` }, text);
}
