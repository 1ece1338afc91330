// Elements are made here alone. Whatever is shown gets in as text or as a property, never as HTML.

const SVG = "http://www.w3.org/2000/svg";

/**
 * An element with properties and children.
 * props: `class`, `data-*`, `aria-*` and other attributes; `on…` listeners; `style` as an object of
 * CSS properties; null, undefined and false are left out. children: nodes, texts, or lists of them.
 */
export function h(tag, props, ...children) {
  return furnish(document.createElement(tag), props, children);
}

/** The same for SVG. */
export function s(tag, props, ...children) {
  return furnish(document.createElementNS(SVG, tag), props, children);
}

/** A symbol of the sprite in index.html; decoration, as what it means is said in words beside it. */
export function icon(name) {
  return s("svg", { class: "icon", "aria-hidden": "true" }, s("use", { href: `#i-${name}` }));
}

/** A name that somebody else chose: its direction is its own, and all of it is in the tooltip. */
export function name(text, props = {}) {
  return h("bdi", { dir: "auto", title: text, ...props }, text);
}

/** A button with a symbol and words. */
export function button(symbol, words, props = {}) {
  return h(
    "button",
    { type: "button", ...props },
    symbol ? icon(symbol) : null,
    h("span", {}, words),
  );
}

/** A button of a symbol alone; its words are its name and its tooltip. */
export function iconButton(symbol, words, props = {}) {
  return h("button", { type: "button", title: words, "aria-label": words, ...props }, icon(symbol));
}

/** Whether a keyboard event is somebody typing, or a shortcut of the browser. */
export function isTyping(event) {
  const { target } = event;
  const writes = target.matches?.("textarea, select, input:not([type=checkbox], [type=radio])");
  return event.ctrlKey || event.metaKey || event.altKey || Boolean(writes);
}

function furnish(element, props, children) {
  for (const [key, value] of Object.entries(props ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key === "style")
      for (const rule of Object.entries(value)) element.style.setProperty(...rule);
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(
    ...children.flat(2).filter((child) => child !== null && child !== undefined && child !== false),
  );
  return element;
}
