// What was scored, over time and as a list; an image's details, its reviews and what follows from them.

import { h } from "../dom.js";
import { can } from "../session.js";
import { ofDetector } from "./detector.js";
import { proposals } from "./history/proposals.js";
import { reviewed } from "./history/stream.js";
import { View } from "./history/view.js";

const ID = /^[0-9a-f]{32}$/;

export const history = ofDetector("history", async ({ query, signal }, detector) => {
  const words = can("fit") ? await reviewed(detector.name, signal) : new Map();
  const view = new View(detector, query, words, signal);
  const image = query.get("image") ?? "";
  await view.load();
  view.tellWaiting();
  if (ID.test(image)) queueMicrotask(() => view.open(image));
  const box = can("fit") && detector.threshold !== null && proposals(detector, signal);
  if (box) box.hidden = words.size === 0;
  window.addEventListener("reviewed", () => box && (box.hidden = false), { signal });
  return h("div", { class: "stack" }, view.element, box);
});
