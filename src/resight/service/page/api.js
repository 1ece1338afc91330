// What the service is asked. Every refusal becomes an error with a sentence that can be shown.

const TRIES = 4;
const BEFORE = {
  0: "The service does not answer: is it still running?",
  401: "This service asks for a token.",
  413: "That is too large for this service: ",
  415: "That is no picture: ",
  429: "The service is busy: ",
};

/** A request that got no answer. status: of HTTP, 0 when nothing came back. */
export class Refused extends Error {
  constructor(status, told) {
    super(sentence(status, told));
    this.status = status;
  }
}

/** What the page does when a token is needed, and when it has to wait; set once by main.js. */
export const hooks = { unlock: async () => false, waiting: () => {} };

export const overview = (signal) => get("/api/gallery", {}, signal);
export const crop = (id, signal) => get(`/api/crops/${id}`, {}, signal);
export const crops = (where, signal) => get("/api/crops", where, signal);
export const sightings = (id, signal) => get(`/api/crops/${id}/sightings`, {}, signal);
export const clusters = (page, signal) => get("/api/clusters", page, signal);
export const cluster = (label, page, signal) => get(`/api/clusters/${label}`, page, signal);
export const decisions = (page, signal) => get("/api/decisions", page, signal);

export const searchStored = (asked, signal) => send("POST", "/api/search/stored", asked, signal);
export const searchPictures = (form, signal) => send("POST", "/api/search", form, signal);
export const decide = (said) => send("POST", "/api/decisions", said);
export const merge = (labels) => send("POST", "/api/clusters/merge", { labels });
export const split = (label, ids) => send("POST", `/api/clusters/${label}/split`, { ids });
export const deleteCrop = (id) => send("DELETE", `/api/crops/${id}`);
export const deleteIndividual = (id) => send("DELETE", `/api/crops/${id}/individual`);
export const openSession = (token) => once("POST", "/api/session", { token });

function get(path, fields, signal) {
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(fields)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== null && one !== undefined && one !== "") query.append(key, one);
    }
  }
  return send("GET", query.size ? `${path}?${query}` : path, undefined, signal);
}

/** Ask; where a token is needed, get it first, and where the service is busy, wait as it says. */
async function send(method, path, body, signal) {
  for (let tries = 1; ; tries += 1) {
    try {
      return await once(method, path, body, signal);
    } catch (error) {
      if (error.status === 401 && (await hooks.unlock())) continue;
      if (error.status !== 429 || tries === TRIES) throw error;
      hooks.waiting(error.seconds);
      await pause(error.seconds, signal);
    }
  }
}

async function once(method, path, body, signal) {
  const json = body && !(body instanceof FormData);
  let answer;
  try {
    answer = await fetch(path, {
      method,
      signal,
      body: json ? JSON.stringify(body) : body,
      headers: json ? { "Content-Type": "application/json" } : {},
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(0);
  }
  const told = answer.status === 204 ? null : await answer.json().catch(() => ({}));
  if (answer.ok) return told;
  const refused = new Refused(answer.status, told.error);
  refused.seconds = Math.min(Number(answer.headers.get("Retry-After")) || 1, 30);
  throw refused;
}

function sentence(status, told) {
  const before = BEFORE[status] ?? "";
  if (before && (!told || !before.endsWith(" "))) return before.replace(/: $/, ".");
  const text = before + (told ?? `the service answered with status ${status}`);
  return `${text[0].toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;
}

function pause(seconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, 1000 * seconds);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}
