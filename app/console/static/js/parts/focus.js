// The focus, kept where a place is drawn anew.

/** Draw a place anew; who was on a link or a button of it is on the same one afterwards. */
export function keepingFocus(place, draw) {
  const held = document.activeElement;
  if (held === place || !place.contains(held)) return draw();
  const at = alike(place, held).indexOf(held);
  const drawn = draw();
  if (document.activeElement !== held) {
    const found = alike(place, held);
    (found[at] ?? found.at(-1))?.focus({ preventScroll: true });
  }
  return drawn;
}

/** Elements that are the same to a reader: two links of a card may well lead to one address. */
function alike(place, held) {
  const wanted = identity(held);
  return [...place.querySelectorAll(held.tagName)].filter((each) => identity(each) === wanted);
}

const identity = (element) => element.id || element.getAttribute("href") || element.getAttribute("aria-label") || element.textContent;
