// What people set for themselves: light or dark. And what the gallery's pictures are like.

import * as api from "./api.js";
import { gallery } from "./session.js";

const KEY = "resight-theme";
const NEXT = { "": "light", light: "dark", dark: "" };
const WORDS = { "": "as the system", light: "light", dark: "dark" };
const SAMPLE = 9;
const root = document.documentElement;

/** The switch between the system's choice, light and dark. */
export function listenToTheme(control) {
  const show = () => {
    const now = root.dataset.theme ?? "";
    control
      .querySelector("use")
      .setAttribute("href", `#i-${{ "": "auto", light: "sun", dark: "moon" }[now]}`);
    control.title = `Colours: ${WORDS[now]}`;
    control.setAttribute("aria-label", `Colours: ${WORDS[now]}. Change to ${WORDS[NEXT[now]]}`);
  };
  control.addEventListener("click", () => {
    const next = NEXT[root.dataset.theme ?? ""];
    if (next) root.dataset.theme = next;
    else delete root.dataset.theme;
    try {
      localStorage.setItem(KEY, next);
    } catch {
      // It holds until the page is closed.
    }
    show();
  });
  show();
}

/** Let cards have the proportions of the gallery's pictures: people are tall, vehicles are not. */
export async function fitCards() {
  if (gallery.thumbnails === "none" || !gallery.rows) return;
  const { crops } = await api.crops({ limit: SAMPLE });
  const shapes = (await Promise.all(crops.map((one) => proportion(one.thumbnail)))).filter(Boolean);
  if (!shapes.length) return;
  const middle = shapes.sort((a, b) => a - b)[Math.floor(shapes.length / 2)];
  root.style.setProperty("--shape", Math.min(Math.max(middle, 0.4), 2).toFixed(3));
  root.dataset.shape = middle < 0.85 ? "tall" : "wide";
}

/** Width by height of a picture, null for none. */
function proportion(url) {
  const image = new Image();
  return new Promise((resolve) => {
    image.onload = () => resolve(image.naturalWidth / image.naturalHeight);
    image.onerror = () => resolve(null);
    image.src = url;
  });
}
