// The page's frame: which view the URL names, when it is asked anew, light or dark, and what stands there when there is nothing.

import { ask, Refused, remember } from "./api.js";
import { h, s } from "./dom.js";
import { sessionsView } from "./sessions.js";
import { sessionView } from "./session.js";

const REFRESH_MS = 3000;
const SHARE_OF_TIME = 10; // a slow store is asked less often: at most a tenth of the time is spent on answers
const main = document.getElementById("main");
const status = document.getElementById("status");
let view = null; // {path, draw, keep}: the one on screen
let shown = ""; // the body last drawn
let timer = 0;
let asking = null;

/** `#/sessions/ID?…` → the view that answers it. */
function route() {
  const [path, query] = location.hash.replace(/^#/, "").split("?");
  const found = path.match(/^\/sessions\/(.+)$/);
  const words = new URLSearchParams(query || "");
  return found ? sessionView(decode(found[1]), words.get("tenant")) : sessionsView(words);
}

function decode(text) {
  try { return decodeURIComponent(text); } catch { return text; }
}

function navigate() {
  const next = route();
  const isSame = view && view.name === next.name && next.frame;
  view = isSame ? { ...next, frame: view.frame } : next;
  shown = "";
  if (!isSame) {
    main.replaceChildren(view.frame || h("div", {}));
    place().replaceChildren(state("Asking the store", [], "loading"));
    scrollTo(0, 0);
  } else view.follow?.();
  document.title = `${view.title} · orchtax`;
  refresh();
}

const place = () => main.querySelector("[data-place]") || main.firstElementChild;

async function refresh() {
  clearTimeout(timer);
  asking?.abort();
  asking = new AbortController();
  const mine = asking, began = performance.now();
  try {
    const body = await ask(view.path, mine.signal);
    if (body !== shown) draw(body);
    drawStatus(JSON.parse(await ask("api/status", mine.signal)));
  } catch (error) {
    if (error.name === "AbortError") return;
    fail(error);
  }
  if (mine === asking && document.visibilityState === "visible") timer = setTimeout(refresh, Math.max(REFRESH_MS, SHARE_OF_TIME * (performance.now() - began)));
}

function draw(body) {
  const key = document.activeElement?.getAttribute("data-key");
  const content = view.draw(JSON.parse(body));
  place().replaceChildren(...[content].flat().filter(Boolean));
  document.getElementById("tip").hidden = true;
  shown = body;
  if (key) main.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus({ preventScroll: true });
}

function drawStatus(fleet) {
  const { workers, store } = fleet;
  const ready = workers.ready >= workers.wanted;
  status.dataset.state = store.state === "ready" && !ready ? "warming" : store.state;
  status.textContent = store.state !== "ready" ? `store ${store.state}` : ready ? "live" : `${workers.ready} of ${workers.wanted} workers ready`;
  status.title = store.reason || `orchtax ${fleet.version}`;
}

/** What is on screen stays there; only a first failure takes its place. */
function fail(error) {
  const refused = error instanceof Refused ? error : new Refused(0, { title: "The page failed", detail: String(error) });
  status.dataset.state = refused.status === 503 ? "warming" : "down";
  status.textContent = refused.title.toLowerCase();
  if (refused.status === 401) {
    if (!place().querySelector("form.token")) place().replaceChildren(askToken()); // what is being typed stays
  } else if (!shown || refused.status === 404) place().replaceChildren(state(refused.title, [refused.message, refused.remedy], refused.status === 503 ? "loading" : ""));
}

const state = (title, lines, more = "") => h("div", { class: `card state ${more}`, role: "status" }, h("h2", {}, title), lines.filter(Boolean).map((line) => h("p", {}, line)));

function askToken() {
  const field = h("input", { class: "field", type: "password", "aria-label": "Token", autocomplete: "off", placeholder: "admin.token" });
  const send = (event) => {
    event.preventDefault();
    remember(field.value);
    place().replaceChildren(state("Asking the store", [], "loading"));
    shown = "";
    refresh();
  };
  return h("div", { class: "card state" }, h("h2", {}, "This port asks for its token"), h("p", {}, "It is kept in this tab only."), h("form", { class: "token", onsubmit: send }, field, h("button", { class: "quiet" }, "Open")));
}

function theme(wanted) {
  document.documentElement.dataset.theme = wanted;
  const sun = [s("circle", { cx: 8, cy: 8, r: 3 }), s("path", { d: "M8 1v1.6M8 13.4V15M1 8h1.6M13.4 8H15M3 3l1.2 1.2M11.8 11.8 13 13M13 3l-1.2 1.2M4.2 11.8 3 13" })];
  const moon = [s("path", { d: "M13.5 9.6A6 6 0 0 1 6.4 2.5a6 6 0 1 0 7.1 7.1Z" })];
  document.getElementById("theme").replaceChildren(s("svg", { viewBox: "0 0 16 16", "aria-hidden": "true" }, wanted === "dark" ? sun : moon));
}

const system = matchMedia("(prefers-color-scheme: dark)");
const wanted = () => localStorage.getItem("orchtax-theme") || (system.matches ? "dark" : "light");
theme(wanted());
system.addEventListener("change", () => theme(wanted()));
document.getElementById("theme").addEventListener("click", () => {
  localStorage.setItem("orchtax-theme", wanted() === "dark" ? "light" : "dark");
  theme(wanted());
});
addEventListener("hashchange", navigate);
document.addEventListener("visibilitychange", () => { if (document.visibilityState === "visible") refresh(); });
navigate();
