// Dialogs: Esc closes them, and the focus goes back to where it was.

import { openSession } from "./api.js";
import { button, h } from "./dom.js";

let asking = null;

/** Whether people want this; lines: what they should know before. */
export function confirm({ title, lines, action }) {
  const dialog = h(
    "dialog",
    { "aria-labelledby": "dialog-title" },
    h(
      "form",
      { method: "dialog" },
      h("h2", { id: "dialog-title" }, title),
      lines.map((line) => (typeof line === "string" ? h("p", {}, line) : line)),
      h(
        "div",
        { class: "choices" },
        h("button", { value: "" }, "Cancel"),
        h("button", { value: "yes", class: "danger" }, action),
      ),
    ),
  );
  return opened(dialog).then((answer) => answer === "yes");
}

/** Show a dialog of index.html. */
export function open(id) {
  const dialog = document.getElementById(id);
  if (!dialog.open) dialog.showModal();
}

/** Ask for the token until it is right; false when people do not have it. One dialog for all. */
export function unlock() {
  asking ??= askToken().finally(() => {
    asking = null;
  });
  return asking;
}

function askToken() {
  const field = h("input", {
    type: "password",
    id: "token",
    autocomplete: "current-password",
    required: true,
    "aria-describedby": "token-problem",
  });
  const problem = h("p", { class: "problem", id: "token-problem", role: "alert" });
  const submit = async (event) => {
    event.preventDefault();
    try {
      await openSession(field.value);
      dialog.close("yes");
    } catch (error) {
      problem.textContent = error.status === 401 ? "That is not the token." : error.message;
      field.select();
    }
  };
  const dialog = h(
    "dialog",
    { "aria-labelledby": "dialog-title" },
    h(
      "form",
      { method: "dialog", onsubmit: submit },
      h("h2", { id: "dialog-title" }, "This service asks for a token"),
      h(
        "p",
        {},
        "Whoever runs it can give you one. It is kept for 12 hours, in this browser alone.",
      ),
      h("label", { for: "token" }, "Token"),
      field,
      problem,
      h(
        "div",
        { class: "choices" },
        button(null, "Cancel", { onclick: () => dialog.close("") }),
        button(null, "Come in", { type: "submit", class: "primary" }),
      ),
    ),
  );
  return opened(dialog).then((answer) => answer === "yes");
}

function opened(dialog) {
  document.body.append(dialog);
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue);
    });
    dialog.showModal();
  });
}
