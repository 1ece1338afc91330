// What people said of pairs of crops: the same individual, or different ones.

import * as api from "./api.js";
import { tell, warn } from "./notices.js";
import { changed } from "./session.js";
import { many } from "./words.js";

const PAGE = 1000;
const MOST_PAIRS = 1000;

const said = new Map();
let loading = null;

/** Have the newest decisions here, for `verdict`. */
export function known() {
  loading ??= load().catch((error) => {
    loading = null;
    throw error;
  });
  return loading;
}

/** true or false where that was said of a crop and all of these others, null otherwise. */
export function verdict(others, id) {
  const words = others.map((other) => said.get(key(other, id)) ?? null);
  return words.length && words.every((word) => word === words[0]) ? words[0] : null;
}

/** Say that a crop is the same as these others ("same"), or "different", or "forget" what was said. */
export async function say(kind, others, id) {
  const pairs = others.filter((other) => other !== id).map((other) => [other, id]);
  if (!(await keep({ [kind]: pairs }))) return;
  const words = { same: "is the same individual", different: "is another individual" };
  if (kind === "forget") tell(`What was said of crop ${id} is taken back.`);
  else tell(`Kept: crop ${id} ${words[kind]}.`, takeBack(pairs));
}

/** Take back what was said of these pairs; whether that worked. */
export async function forget(pairs) {
  for (let start = 0; start < pairs.length; start += MOST_PAIRS) {
    if (!(await keep({ forget: pairs.slice(start, start + MOST_PAIRS) }))) return false;
  }
  return true;
}

/** Do what changes many decisions at once, such as `api.merge`; how many it took, null if refused. */
export async function change(work) {
  try {
    const { kept } = await work();
    loading = null;
    changed();
    return kept;
  } catch (error) {
    explain(error);
    return null;
  }
}

/** Crops are gone, and with them all that was said of them. */
export function dropped() {
  loading = null;
  changed();
}

async function keep(words) {
  try {
    await api.decide(words);
  } catch (error) {
    explain(error);
    return false;
  }
  for (const [a, b] of words.same ?? []) said.set(key(a, b), true);
  for (const [a, b] of words.different ?? []) said.set(key(a, b), false);
  for (const [a, b] of words.forget ?? []) said.delete(key(a, b));
  changed();
  document.dispatchEvent(new Event("decided"));
  return true;
}

function takeBack(pairs) {
  const run = async () => {
    if (await forget(pairs)) tell(`${many(pairs.length, "decision")} taken back.`);
  };
  return { icon: "undo", words: "Take back", run };
}

function explain(error) {
  if (error.status !== 409) {
    warn(error.message);
    return;
  }
  const link = {
    words: "Look at the decisions, and take back the wrong one.",
    href: "#/decisions",
  };
  warn(`That cannot be kept, as it contradicts what was said before. ${error.message}`, link);
}

async function load() {
  said.clear();
  const { decisions } = await api.decisions({ limit: PAGE });
  for (const { a, b, same } of decisions.reverse()) said.set(key(a, b), same);
}

function key(a, b) {
  return a < b ? `${a} ${b}` : `${b} ${a}`;
}
