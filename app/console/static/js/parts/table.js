// Tables that scroll in their own frame where the page is narrow.

import { h } from "../dom.js";

/**
 * Return a table.
 * @param {string} caption what it shows.
 * @param {Array<{name: string, of: (row: any) => any, number?: boolean}>} columns `of` gives the cell's
 *   content, a text or an element.
 * @param {Array<any>} rows
 */
export function table(caption, columns, rows) {
  const kind = (column) => (column.number ? "number" : null);
  const scroller = h("div", { class: "scroll", tabIndex: 0, role: "region", aria: { label: caption } });
  scroller.append(h("table", {},
    h("caption", {}, caption),
    h("thead", {}, h("tr", {}, columns.map((column) => h("th", { scope: "col", class: kind(column) }, column.name)))),
    h("tbody", {}, rows.map((row) => h("tr", {}, columns.map((column) => h("td", { class: kind(column) }, column.of(row))))))));
  return scroller;
}
