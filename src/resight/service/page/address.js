// The address after # tells all that is shown, so that back, forward and links work.

const DEFAULTS = { k: 24 };

/** Where the page is: view, its number where it has one, and fields. */
export function here() {
  const [path, fields = ""] = decodeHash().split("?");
  const [, view = "", number = ""] = path.split("/");
  return { view: view || "search", number: toNumber(number), fields: new URLSearchParams(fields) };
}

/** Go there; `replace` leaves no step back. */
export function go(hash, { replace = false } = {}) {
  if (replace) location.replace(hash);
  else location.hash = hash;
}

export const toSightings = (id) => `#/crops/${id}`;
export const toCluster = (label) => `#/clusters/${label}`;

/** What a search asks for; ids: of stored crops, or pictures: a key of uploaded ones. */
export function toAsked(fields) {
  return {
    ids: fields
      .getAll("id")
      .map(toNumber)
      .filter((id) => id !== null),
    pictures: fields.get("pictures"),
    k: toNumber(fields.get("k")) ?? DEFAULTS.k,
    cameras: fields.getAll("camera"),
    since: toTime(fields.get("since")),
    until: toTime(fields.get("until")),
    accepted: fields.has("accepted"),
    rerank: fields.has("rerank"),
    others: fields.has("others"),
  };
}

/** The address of a search. */
export function toSearch(asked) {
  const fields = new URLSearchParams();
  for (const id of asked.ids ?? []) fields.append("id", id);
  if (asked.pictures) fields.set("pictures", asked.pictures);
  if (asked.k && asked.k !== DEFAULTS.k) fields.set("k", asked.k);
  for (const camera of asked.cameras ?? []) fields.append("camera", camera);
  for (const key of ["since", "until"]) {
    if (asked[key] !== null && asked[key] !== undefined) fields.set(key, asked[key]);
  }
  for (const key of ["accepted", "rerank", "others"]) if (asked[key]) fields.set(key, "1");
  return fields.size ? `#/search?${fields}` : "#/search";
}

function decodeHash() {
  return location.hash.replace(/^#/, "") || "/search";
}

function toNumber(text) {
  return /^\d{1,15}$/.test(text ?? "") ? Number(text) : null;
}

function toTime(text) {
  const time = text === null || text === "" ? NaN : Number(text);
  return Number.isFinite(time) ? time : null;
}
