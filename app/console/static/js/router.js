// Addresses after the # and the pages behind them; the page that is left is told to stop.

import { fill, h } from "./dom.js";
import { failure, loading } from "./parts/states.js";

let held = null;

/**
 * Show the page of the address whenever that changes.
 *
 * A page is a function of ({params, query, signal, refresh}) that returns its element, or a promise
 * of it: `params` are the parts of the address that its pattern names, `query` what follows the ?,
 * `signal` is aborted when the page is left, and `refresh()` shows it anew. Its h1 takes the focus and
 * the title.
 *
 * @param {HTMLElement} place
 * @param {Array<[string, Function]>} pages patterns such as "/detectors/:name/drift", and pages.
 * @param {(where: string) => boolean} onChange called with each address; says whether to show it.
 * @returns {{show: () => Promise<void>, leave: () => void}} to show the page of the address, and to
 *   stop the one that is shown.
 */
export function route(place, pages, onChange) {
  let leaving = new AbortController();

  function leave() {
    leaving.abort();
    for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
  }

  async function show() {
    leave();
    leaving = new AbortController();
    const { signal } = leaving;
    const [where, text = ""] = (location.hash.slice(1) || "/detectors").split("?");
    const found = match(pages, where);
    if (!onChange(where)) return;
    fill(place, loading("Loading"));
    try {
      const context = { ...found, query: new URLSearchParams(text), signal, refresh: show };
      const element = await found.page(context);
      if (signal.aborted) return;
      fill(place, element);
    } catch (error) {
      if (signal.aborted || error.status === 401) return; // what asks for a key is there by now
      fill(place, h("h1", {}, "This page cannot be shown"), failure(error, show));
    }
    const heading = place.querySelector("h1");
    document.title = heading ? `${heading.textContent} · gatewatch` : "gatewatch";
    if (heading) heading.tabIndex = -1;
    (heading ?? place).focus();
  }

  window.addEventListener("hashchange", () => {
    if (mayLeave()) show();
    else window.history.pushState(null, "", held.hash); // back to where one was
  });
  return { show, leave };
}

/** Ask before the page is left, until it is or the function that is returned is called. */
export function hold(why, signal) {
  const warn = (event) => event.preventDefault();
  const release = () => {
    held = null;
    window.removeEventListener("beforeunload", warn);
    signal.removeEventListener("abort", release);
  };
  held = { why, hash: location.hash };
  window.addEventListener("beforeunload", warn);
  signal.addEventListener("abort", release);
  return release;
}

/** Whether the page may be left: nothing holds it, or who is there says so. */
export function mayLeave() {
  return held === null || window.confirm(held.why);
}

/** Go to an address; the same again shows it anew. */
export function go(where) {
  if (location.hash === `#${where}`) window.dispatchEvent(new HashChangeEvent("hashchange"));
  else location.hash = where;
}

/** Return an address with its parts encoded: to`/detectors/${name}/drift`. */
export function to(fixed, ...parts) {
  return `#${fixed.reduce((done, next, i) => done + encodeURIComponent(parts[i - 1]) + next)}`;
}

function match(pages, where) {
  const parts = where.split("/");
  for (const [pattern, page] of pages) {
    const wanted = pattern.split("/");
    if (wanted.length !== parts.length) continue;
    const params = {};
    const fits = wanted.every((each, i) => {
      if (!each.startsWith(":")) return each === parts[i];
      params[each.slice(1)] = decoded(parts[i]);
      return parts[i] !== "";
    });
    if (fits) return { page, params };
  }
  return { page: missing, params: {} };
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part; // a % of somebody's own typing
  }
}

function missing() {
  return h("div", { class: "state" },
    h("h1", {}, "No such page"),
    h("p", {}, "The address leads nowhere in this console."),
    h("a", { class: "button", href: "#/detectors" }, "To the detectors"));
}
