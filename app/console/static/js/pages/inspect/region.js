// The region that counts, for detectors that are told it with every image: drawn once for those that follow.

import { fill, h } from "../../dom.js";
import { polygon } from "../../parts/polygon.js";

export class Region {
  /** @param {() => void} onUse called when the drawn region shall be used, also for what waits. */
  constructor(onUse) {
    this.points = null;
    this.drawn = [];
    this.place = h("div", {});
    this.use = h("button", {
      type: "button",
      class: "primary",
      disabled: true,
      on: {
        click: () => {
          this.points = this.drawn;
          this.box.open = false;
          onUse();
        },
      },
    }, "Use this region");
    this.box = h("details", { class: "card", open: true, hidden: true },
      h("summary", {}, "Region of interest"),
      h("div", { class: "stack" },
        h("p", { class: "small" }, "This detector is told with every image which part of it counts. Draw it on the first image; it is then sent with every image."),
        this.place, h("div", { class: "row" }, this.use)));
    this.element = this.box;
  }

  /** Draw on this image, unless there is one to draw on. */
  on(file) {
    if (this.address) return;
    this.address = URL.createObjectURL(file);
    this.box.hidden = false;
    fill(this.place, polygon({
      image: this.address,
      points: this.drawn,
      onChange: (points) => {
        this.drawn = points;
        this.use.disabled = points.length < 3;
      },
    }));
  }

  release() {
    if (this.address) URL.revokeObjectURL(this.address);
  }
}
