// An input with its label, hint and error, tied together for those who do not see them.

import { h } from "../dom.js";

let made = 0;

/** Return the input below its label; `hint` says what is expected. */
export function field(label, input, hint = "") {
  made += 1;
  input.id ||= `field-${made}`;
  const hintId = `${input.id}-hint`;
  if (hint) input.setAttribute("aria-describedby", hintId);
  return h("div", { class: "field" },
    h("label", { htmlFor: input.id }, label),
    input,
    hint && h("span", { id: hintId, class: "muted small" }, hint));
}

/** Return a box to tick before its label. */
export function check(label, input, hint = "") {
  made += 1;
  input.type = "checkbox";
  input.id ||= `field-${made}`;
  return h("div", { class: "check" }, input,
    h("div", {}, h("label", { htmlFor: input.id }, label), hint && h("div", { class: "muted small" }, hint)));
}

/** Return what takes one of several; options are [value, text, hint]. The group's name is its own. */
export function radios(legend, options, { name, chosen, onChange = () => {}, attributes = {} }) {
  return h("fieldset", attributes, h("legend", {}, legend), options.map(([value, text, hint]) => {
    const id = `${name}-${value}`;
    const input = h("input", { type: "radio", name, value, id, checked: value === chosen, on: { change: () => onChange(value) }, aria: { describedby: `${id}-hint` } });
    return h("div", { class: "check" }, input,
      h("div", {}, h("label", { htmlFor: id }, text), h("div", { id: `${id}-hint`, class: "muted small" }, hint)));
  }));
}

/** Return a list to choose from; options are [value, text]. */
export function choice(options, chosen, properties = {}) {
  return h("select", properties, options.map(([value, text]) => h("option", { value, selected: value === chosen }, text)));
}
