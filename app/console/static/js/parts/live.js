// Live regions that speak when there is something new to say.

import { fill, h } from "../dom.js";

/** Put children into a place that is read out; the same words again leave it as it is, unspoken. */
export function tell(place, ...children) {
  const next = fill(h("div"), ...children);
  if (next.textContent !== place.textContent) place.replaceChildren(...next.childNodes);
}
