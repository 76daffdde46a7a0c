// A sample that is no image under inspection: heard or seen where the browser can, drawn by the service.

import { fill, h } from "../../dom.js";
import { bytes } from "../../format.js";

export class Drawn {
  /** @param {Object} samples what is inspected, as `kindOf` tells it. */
  constructor(samples) {
    this.samples = samples;
    this.played = h("div", {});
    this.drawing = h("img", { alt: "", hidden: true });
    this.scale = h("p", { class: "small muted", hidden: true }, "Yellow is what would be at the threshold if all of it were like that, red from 1.6 times it.");
    this.note = h("p", { class: "small muted" });
    this.element = h("figure", { class: "card stack inspected drawn" }, this.played, this.drawing,
      h("figcaption", { class: "stack tight" }, this.scale, this.note));
    this.addresses = [];
  }

  /** Show another file, which is not drawn yet. */
  show({ file, name }) {
    this.release();
    this.name = name;
    const size = h("p", { class: "small muted" }, `${name}, ${bytes(file.size)}`);
    fill(this.played, player(file, () => this.hold(file), name) ?? size);
    this.drawing.hidden = this.scale.hidden = true;
    fill(this.note);
  }

  /** Show the service's drawing; null if its scorer cannot tell where a score comes from. */
  explain({ result }, drawing) {
    this.drawing.hidden = drawing === null;
    this.scale.hidden = drawing === null || result.threshold === null;
    if (drawing === null) {
      fill(this.note, `Where in the ${this.samples.one} the score comes from cannot be told with this detector's scorer, descriptor and scale of rows. With the defaults it can.`);
      return;
    }
    this.drawing.src = this.hold(drawing);
    this.drawing.alt = `The ${this.samples.one} ${this.name}, painted where its score comes from`;
  }

  /** There is nothing to take off it. */
  toggle() {}

  /** Return the address of what is shown until the next is. */
  hold(content) {
    this.addresses.push(URL.createObjectURL(content));
    return this.addresses.at(-1);
  }

  release() {
    for (const each of this.addresses.splice(0)) URL.revokeObjectURL(each);
    fill(this.played);
  }
}

/** Return what plays a file, if the browser says that it may; null for what is neither sound nor film. */
function player(file, address, name) {
  const tag = ["audio", "video"].find((each) => file.type.startsWith(`${each}/`));
  if (!tag || h(tag).canPlayType(file.type) === "") return null;
  const played = h(tag, { controls: true, preload: "metadata", src: address(), aria: { label: name } });
  played.addEventListener("error", () => played.remove());
  return played;
}
