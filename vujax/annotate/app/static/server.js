// Asking the server. What it refuses is an Error with its sentence; `unreachable` when it is silent.

async function ask(path, options) {
  let answer;
  try {
    answer = await fetch(path, { credentials: "same-origin", ...options });
  } catch {
    const error = new Error("The server does not answer: is `vujax curate` still running?");
    error.unreachable = true;
    throw error;
  }
  let found = null;
  try {
    found = await answer.json();
  } catch { /* no JSON: a crash */ }
  if (answer.ok && found !== null) return found;
  const error = new Error(found?.error ?? `The server failed (${answer.status}): see its terminal.`);
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

// Where a keyframe's picture is, by its id FILM/s0012/1.
export function picture(id) {
  const [film, shot, keyframe] = id.split("/");
  return `/picture/${encodeURIComponent(film)}/${Number(shot.slice(1))}/${keyframe}`;
}

export const film = (id) => `/film/${encodeURIComponent(id)}`;
