// Pictures that are searched for: kept in this tab alone, under a key that stands in the address.

import { tell } from "./notices.js";
import { many } from "./words.js";

const MOST = 8;
const MOST_QUERIES = 20;

const kept = new Map();

/** Keep pictures; returns their key, null when there are none. */
export function keep(files) {
  const pictures = [...files].filter((file) => file.type.startsWith("image/"));
  const others = files.length - pictures.length;
  if (others)
    tell(`${many(others, "file is", "files are")} left out: only pictures can be searched for.`);
  if (!pictures.length) return null;
  if (pictures.length > MOST)
    tell(`Only the first ${MOST} of ${pictures.length} pictures are searched for.`);
  return store(pictures.slice(0, MOST).map((file) => ({ file, url: URL.createObjectURL(file) })));
}

/** The key of these pictures and further ones. */
export function extend(key, files) {
  const before = of(key) ?? [];
  const added = keep(files);
  if (added === null || !before.length) return added;
  const all = [...before, ...of(added)];
  if (all.length > MOST) tell(`Only the first ${MOST} of ${all.length} pictures are searched for.`);
  return store(all.slice(0, MOST));
}

/** The key of these pictures without one of them, null when none is left. */
export function without(key, place) {
  const left = of(key).filter((_, at) => at !== place);
  return left.length ? store(left) : null;
}

/** Pictures under a key, each { file, url }; null when this tab does not have them. */
export function of(key) {
  return kept.get(key) ?? null;
}

function store(pictures) {
  const key = crypto.getRandomValues(new Uint32Array(1))[0].toString(36);
  kept.set(key, pictures);
  if (kept.size > MOST_QUERIES) kept.delete(kept.keys().next().value);
  return key;
}
