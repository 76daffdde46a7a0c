// A folder of the server to take images from, instead of sending them.

import { h } from "../../dom.js";
import { field } from "../../parts/field.js";

/** Return {node, value}: `value()` is the folder's path, "" for none. */
export function serverFolder(onChange) {
  const input = h("input", { autocomplete: "off", spellcheck: false, on: { input: onChange } });
  return {
    node: h("details", {},
      h("summary", {}, "The images lie on the server"),
      field("Folder on the server", input, "Below one of the folders that the operator lets the service import (GATEWATCH_IMPORT_ROOTS). Its folders become groups. Leave it empty to send images from here.")),
    value: () => input.value.trim(),
  };
}
