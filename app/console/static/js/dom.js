// Elements made of names, properties and children. Children are nodes or texts, never markup:
// whatever a file, a detector or an error is called is shown as it is written.

const SVG = "http://www.w3.org/2000/svg";

/**
 * Return an element.
 * @param {string} tag
 * @param {Object} properties set on the element; `on` holds listeners, `data` data attributes, `aria`
 *   ARIA attributes; what the element has no property for becomes an attribute. null and undefined
 *   are left out.
 * @param {...(Node|string|number|null|undefined|false|Array)} children
 */
export function h(tag, properties = {}, ...children) {
  return filled(document.createElement(tag), properties, children);
}

/** Return an element of a drawing; its properties are attributes. */
export function svg(tag, properties = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), properties, children);
}

/** Put children in the place of those an element has. */
export function fill(element, ...children) {
  element.replaceChildren(...nodes(children));
  return element;
}

function filled(element, { on = {}, data = {}, aria = {}, ...rest }, children) {
  for (const [name, listener] of Object.entries(on)) element.addEventListener(name, listener);
  for (const [name, value] of Object.entries(data)) element.dataset[name] = value;
  for (const [name, value] of Object.entries(aria)) {
    if (value !== null && value !== undefined) element.setAttribute(`aria-${name}`, value);
  }
  for (const [name, value] of Object.entries(rest)) set(element, name, value);
  element.append(...nodes(children));
  return element;
}

function set(element, name, value) {
  if (value === null || value === undefined) return;
  if (name === "class") element.setAttribute("class", value);
  else if (element.namespaceURI !== SVG && name in element) element[name] = value;
  else element.setAttribute(name, value);
}

function nodes(children) {
  return children
    .flat(Infinity)
    .filter((child) => child !== null && child !== undefined && child !== false && child !== "")
    .map((child) => (child instanceof Node ? child : document.createTextNode(String(child))));
}
