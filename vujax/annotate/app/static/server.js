// Requests to the server. Errors carry its message; `unreachable` marks a missing response.

async function ask(path, options) {
  let answer;
  try {
    answer = await fetch(path, { credentials: "same-origin", ...options });
  } catch {
    const error = new Error("The server does not respond. Is `vujax curate` still running?");
    error.unreachable = true;
    throw error;
  }
  let found = null;
  try {
    found = await answer.json();
  } catch { /* not JSON: the server crashed */ }
  if (answer.ok && found !== null) return found;
  const error = new Error(found?.error ?? `Server error (${answer.status}). See the terminal of the server.`);
  error.status = answer.status;
  throw error;
}

export const get = (path, given = {}) => {
  const query = new URLSearchParams(given).toString();
  return ask(query ? `${path}?${query}` : path);
};

export const post = (path, body) =>
  ask(path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });

// Returns the URL of a keyframe, by its id FILM/s0012/1.
export function picture(id) {
  const [film, shot, keyframe] = id.split("/");
  return `/picture/${encodeURIComponent(film)}/${Number(shot.slice(1))}/${keyframe}`;
}

export const film = (id) => `/film/${encodeURIComponent(id)}`;
