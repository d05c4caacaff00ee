// The admin API. Only this origin is ever asked. A token, where one is needed, lives in this tab only.

export class Refused extends Error {
  constructor(status, problem) {
    super(problem.detail || `HTTP ${status}`);
    this.status = status;
    this.title = problem.title || "No answer";
    this.remedy = problem.remedy || "";
  }
}

export const remember = (token) => sessionStorage.setItem("orchtax-token", token);

/** The body as text, so that a caller can tell whether anything changed. */
export async function ask(path, signal) {
  const token = sessionStorage.getItem("orchtax-token");
  let response;
  try {
    response = await fetch(path, { signal, headers: token ? { Authorization: `Bearer ${token}` } : {}, cache: "no-store" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(0, { title: "orchtax does not answer", detail: "The admin port cannot be reached.", remedy: "This page tries again by itself." });
  }
  const text = await response.text();
  if (!response.ok) {
    let problem = {};
    try { problem = JSON.parse(text); } catch { problem = { detail: `HTTP ${response.status}` }; }
    throw new Refused(response.status, problem);
  }
  return text;
}
