// All sessions: the three taxes of all of them, then one row each.

import { h } from "./dom.js";
import { ago, count, moment, money, percent, plural, time } from "./format.js";
import { legend, share, tiles } from "./tax.js";

const SPANS = [["1h", "Hour"], ["24h", "Day"], ["7d", "Week"], ["", "All"]];

/** `words`: since, search, sort, as in the URL. */
export function sessionsView(words) {
  const asked = new URLSearchParams({ limit: "100" });
  for (const name of ["since", "search", "sort"]) if (words.get(name)) asked.set(name, words.get(name));
  const frame = h("div", {}, h("div", { "data-place": true }));
  return { name: "sessions", title: "Sessions", path: `api/sessions?${asked}`, frame, draw: (report) => draw(report, words) };
}

function go(words, changes) {
  const next = new URLSearchParams(words);
  for (const [name, value] of Object.entries(changes)) value ? next.set(name, value) : next.delete(name);
  location.hash = `#/?${next}`;
}

function draw(report, words) {
  const { sessions, totals } = report;
  const isFiltered = words.get("search") || words.get("since");
  if (!totals.sessions && !isFiltered) return totals.unattributed_calls ? [unattributed(totals)] : [empty()];
  return [tiles(totals.tax), facts(totals), tools(words, totals), sessions.length ? table(sessions, words) : none()];
}

const facts = (totals) =>
  h(
    "p", { class: "facts" },
    h("span", {}, h("b", { "data-figure": "total-sessions" }, count(totals.sessions)), totals.sessions === 1 ? " session" : " sessions"),
    h("span", {}, h("b", { "data-figure": "total-calls" }, count(totals.calls)), " calls"),
    h("span", {}, h("b", { "data-figure": "total-tokens" }, count(totals.input_tokens + totals.output_tokens)), " tokens"),
    h("span", {}, h("b", { "data-figure": "total-cost" }, money(totals.cost_usd)), " spent"),
    h("span", {}, h("b", {}, count(totals.handoffs)), " handoffs"),
    h("span", {}, h("b", {}, count(totals.retries)), totals.retries === 1 ? " retry" : " retries"),
    totals.coverage === null ? null : h("span", {}, "usage reported for ", h("b", {}, percent(totals.coverage)), " of model calls"),
    totals.unattributed_calls ? h("span", { class: "note", title: "Send X-Orchtax-Session, or put /session/ID/stage/NAME in front of the base URL's path." }, `${plural(totals.unattributed_calls, "call")} (${money(totals.unattributed_cost_usd)}) without a session`) : null,
    totals.unpriced_calls ? h("span", { class: "note" }, `${plural(totals.unpriced_calls, "call")} without a known price`) : null,
  );

function tools(words, totals) {
  let wait = 0;
  const search = h("input", {
    class: "field", type: "search", placeholder: "Search id, task, variant", "aria-label": "Search sessions", "data-key": "search", maxlength: 200, value: words.get("search") || "",
    oninput: (event) => { clearTimeout(wait); const text = event.target.value.trim(); wait = setTimeout(() => go(words, { search: text }), 250); },
  });
  const spans = SPANS.map(([span, name]) => h("button", { type: "button", "data-key": `span-${span}`, "aria-pressed": String((words.get("since") || "") === span), onclick: () => go(words, { since: span }) }, name));
  const more = totals.listed < totals.sessions ? h("span", { class: "faint" }, `first ${count(totals.listed)}`) : null;
  return h("div", { class: "tools" }, h("h1", {}, "Sessions"), legend(), more, search, h("div", { class: "tabs", role: "group", "aria-label": "Time span" }, spans));
}

function table(sessions, words) {
  const sort = words.get("sort") || "recent";
  const head = (key, name, more = "") => {
    const button = key ? h("button", { type: "button", "data-key": `sort-${key}`, onclick: () => go(words, { sort: key }) }, name) : name;
    return h("th", { scope: "col", class: more, "aria-sort": key === sort ? "descending" : null }, button);
  };
  const heads = [head("recent", "Session"), head("", "Pattern", "wide"), head("", "Calls", "n wide"), head("tokens", "Tokens", "n"), head("cost", "Cost", "n"), head("duration", "Took", "n wide"), head("tax", "Tax in tokens"), head("", "Tax in cost"), head("", "Tax in latency"), head("", "Known by", "wide")];
  return h("div", { class: "card scroll" }, h("table", {}, h("thead", {}, h("tr", {}, heads)), h("tbody", {}, sessions.map(row))));
}

function row(session) {
  const { session_id: id, tax, attribution } = session;
  const about = [session.task, session.variant && `variant ${session.variant}`, session.tenant && `tenant ${session.tenant}`, ago(session.ended_ns)].filter(Boolean).join(" · ");
  const owner = session.tenant ? `?${new URLSearchParams({ tenant: session.tenant })}` : "";
  const link = h("a", { class: "id", href: `#/sessions/${encodeURIComponent(id)}${owner}`, "data-key": `session-${id}` }, id);
  return h(
    "tr", { class: "linked", "data-session": id },
    h("td", {}, link, h("span", { class: "under", title: moment(session.started_ns) }, about)),
    h("td", { class: "wide" }, h("span", { class: "chip" }, session.pattern)),
    h("td", { class: "n wide", "data-figure": "calls" }, count(session.calls)),
    h("td", { class: "n", "data-figure": "tokens" }, count(session.input_tokens + session.output_tokens)),
    h("td", { class: "n", "data-figure": "cost" }, money(session.cost_usd)),
    h("td", { class: "n wide" }, time(session.wall_us)),
    h("td", {}, share(tax.tokens, "tokens")),
    h("td", {}, share(tax.cost, "cost")),
    h("td", {}, share(tax.latency, "latency")),
    h("td", { class: "wide soft known", title: `confidence ${percent(attribution.confidence)}` }, attribution.source, attribution.confidence < 1 ? h("span", { class: "faint" }, ` ${(attribution.confidence * 100).toFixed(0)}%`) : null),
  );
}

const none = () => h("div", { class: "card state" }, h("h2", {}, "No session matches"), h("p", {}, "Widen the time span or change the search."));

const unattributed = (totals) =>
  h("div", { class: "card state" }, h("h2", {}, `${plural(totals.unattributed_calls, "call")}, no session yet`), h("p", {}, "Calls arrive, but none says which task it belongs to. Put session and stage into the base URL, or send X-Orchtax-Session and X-Orchtax-Stage."), h("code", {}, "OPENAI_BASE_URL=http://127.0.0.1:8400/session/task-1/stage/planner/openai/v1"));

const empty = () =>
  h("div", { class: "card state" }, h("h2", {}, "No sessions yet"), h("p", {}, "Point an agent's base URL at orchtax; its first session appears here within seconds."), h("code", {}, "OPENAI_BASE_URL=http://127.0.0.1:8400/openai/v1"));
