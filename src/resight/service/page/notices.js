// What the page tells in passing: notes that go away, warnings that stay, words for screen readers.

import { button, h, iconButton } from "./dom.js";

const SECONDS = 10;

const notes = document.getElementById("notes");
const warnings = document.getElementById("warnings");
const spoken = document.getElementById("spoken");

/** A note, instead of the one before; action: { words, run } is offered beside it. */
export function tell(words, action = null) {
  const note = h("div", { class: "note" }, h("p", {}, words));
  const close = () => note.remove();
  if (action) {
    const run = () => {
      close();
      action.run();
    };
    note.append(button(action.icon ?? null, action.words, { class: "quiet", onclick: run }));
  }
  note.append(iconButton("close", "Close this note", { class: "plain", onclick: close }));
  let timer = setTimeout(close, 1000 * SECONDS);
  const hold = () => clearTimeout(timer);
  const release = () => {
    hold();
    timer = setTimeout(close, 1000 * SECONDS);
  };
  for (const event of ["pointerenter", "focusin"]) note.addEventListener(event, hold);
  for (const event of ["pointerleave", "focusout"]) note.addEventListener(event, release);
  notes.replaceChildren(note);
}

/** A warning, until it is closed or the next one; link: { words, href }. */
export function warn(words, link = null) {
  const close = () => warnings.replaceChildren();
  warnings.replaceChildren(
    h(
      "div",
      { class: "warning" },
      h(
        "p",
        {},
        words,
        link ? [" ", h("a", { href: link.href, onclick: close }, link.words)] : null,
      ),
      iconButton("close", "Close this warning", { class: "plain", onclick: close }),
    ),
  );
}

/** No warning any more. */
export function calm() {
  warnings.replaceChildren();
}

/** Words for screen readers alone. */
export function announce(words) {
  spoken.textContent = words;
}

/** Show why something did not work; what was cancelled is nobody's concern. */
export function complain(error) {
  if (error.name === "AbortError") return;
  if (error.status === undefined) console.error(error);
  warn(
    error.status === undefined
      ? `Something went wrong in this page: ${error.message}`
      : error.message,
  );
}
