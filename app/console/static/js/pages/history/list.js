// The images of a block as a table, fifty rows at a time.

import { fill, h } from "../../dom.js";
import { count, moment, score } from "../../format.js";
import { reviewWord } from "../../parts/reviews.js";
import { table } from "../../parts/table.js";
import { verdictBadge } from "../../parts/verdict.js";
import { to } from "../../router.js";
import { can } from "../../session.js";

export const ROWS = 50;

export class List {
  /**
   * @param {string} name of the detector.
   * @param {Map<string, string>} words the word that counts, by image.
   * @param {{onChoose: (image: Object) => void, onOlder: () => void, onNewer: () => void}} what
   */
  constructor(name, words, { onChoose, onOlder, onNewer }) {
    this.rows = h("div", {});
    this.told = h("span", { class: "small muted", role: "status" });
    this.newer = h("button", { type: "button", on: { click: onNewer } }, "Newer");
    this.older = h("button", { type: "button", on: { click: onOlder } }, "Older");
    this.element = h("section", { class: "card stack history-list" }, this.rows, h("div", { class: "row" }, this.newer, this.older, this.told));
    this.columns = [
      { name: "Image", of: (image) => this.link(name, image, onChoose) },
      { name: "Verdict", of: ({ verdict }) => verdictBadge(verdict) },
      { name: "Score", of: (image) => score(image.score), number: true },
      { name: "Threshold", of: (image) => score(image.threshold), number: true },
      { name: "p-value", of: (image) => score(image.p_value, 2), number: true },
      { name: "Scored", of: ({ at }) => h("time", { dateTime: at, class: "nowrap" }, moment(at)) },
      { name: "Group", of: ({ group }) => h("span", { class: "group-name" }, group || "–") },
      { name: "Version", of: ({ version }) => version, number: true },
      can("fit") && { name: "Review", of: ({ id }) => reviewWord(words.get(id)) ?? "–" },
    ].filter(Boolean);
  }

  /**
   * Show rows of a list from a place on.
   * @param {{before: number, isFirst: boolean, hasMore: boolean}} what how many came before this list,
   *   whether these rows are the newest, and whether older ones can be had beyond the list.
   */
  show(images, start, { before, isFirst, hasMore }) {
    const shown = images.slice(start, start + ROWS);
    fill(this.rows, table("Scored images, newest first", this.columns, shown));
    this.newer.disabled = isFirst;
    this.older.disabled = start + ROWS >= images.length && !hasMore;
    fill(this.told, shown.length ? `${count(before + start + 1)} to ${count(before + start + shown.length)}${hasMore ? "" : ` of ${count(before + images.length)}`}` : "");
  }

  link(name, image, onChoose) {
    return h("a", {
      href: `${to`/detectors/${name}/history`}?image=${image.id}`,
      class: "image-name",
      on: {
        click: (event) => {
          if (event.ctrlKey || event.metaKey || event.shiftKey) return;
          event.preventDefault();
          onChoose(image);
        },
      },
    }, image.name || "(no name)");
  }
}
