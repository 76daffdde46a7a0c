// A folder of the server to take images from, instead of sending them.

import { h } from "../../dom.js";
import { field } from "../../parts/field.js";

/** Return {node, value}: `value()` is the folder's path, "" for none; `many` are what lies in it. */
export function serverFolder(onChange, many) {
  const input = h("input", { autocomplete: "off", spellcheck: false, on: { input: onChange } });
  return {
    node: h("details", {},
      h("summary", {}, `The ${many} lie on the server`),
      field("Folder on the server", input, `Below one of the folders that the operator lets the service import (GATEWATCH_IMPORT_ROOTS). Its folders become groups. Leave it empty to send ${many} from here.`)),
    value: () => input.value.trim(),
  };
}
