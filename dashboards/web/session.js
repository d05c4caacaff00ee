// One session close up: its three taxes, when each call ran, its stages, its receipt.

import { h, tip } from "./dom.js";
import { count, moment, money, percent, plural, time } from "./format.js";
import { receipt } from "./receipt.js";
import { share, tiles, legend } from "./tax.js";
import { waterfall } from "./waterfall.js";

/** `tenant` tells apart sessions of one id; null: the latest of that id. */
export function sessionView(id, tenant) {
  const query = tenant === null ? "" : `?${new URLSearchParams({ tenant })}`;
  return { name: `session-${id}-${tenant}`, title: id, path: `api/sessions/${encodeURIComponent(id)}${query}`, draw };
}

function draw(detail) {
  const { session } = detail;
  const main = h("div", { class: "stack" }, timeline(detail), stages(session), detail.handoffs.length ? handoffs(detail) : null);
  return [heading(session), tiles(session.tax), h("div", { class: "split" }, main, receipt(session, detail.receipt))];
}

function heading(session) {
  const { attribution } = session;
  const chips = [session.pattern, session.task && `task ${session.task}`, session.variant && `variant ${session.variant}`, session.tenant && `tenant ${session.tenant}`, `known by ${attribution.source}, ${Math.round(attribution.confidence * 100)}%`, plural(session.calls, "call"), time(session.wall_us)];
  const warnings = [session.coverage !== null && session.coverage < 1 && `usage reported for ${percent(session.coverage)}`, session.unpriced_calls && `${plural(session.unpriced_calls, "call")} unpriced`];
  return h(
    "div", {},
    h("p", { class: "crumb" }, h("a", { href: "#/", "data-key": "back" }, "\u2190 All sessions"), h("span", { class: "faint" }, ` · ${moment(session.started_ns)}`)),
    h("div", { class: "title" }, h("h1", {}, session.session_id), chips.filter(Boolean).map((text) => h("span", { class: "chip" }, text)), warnings.filter(Boolean).map((text) => h("span", { class: "chip warn" }, text))),
  );
}

function timeline(detail) {
  const more = detail.calls_truncated ? h("span", { class: "note" }, `first ${count(detail.calls.length)} of ${count(detail.session.calls)} calls`) : null;
  const keys = ["underlined: on the critical path", "pale: beside it", "hatched: handoff gap", "struck: failed", "hollow: tool"];
  return h("section", { class: "card" }, h("div", { class: "heading-row" }, h("h2", { class: "heading" }, "When each call ran"), legend(), more), waterfall(detail), h("p", { class: "keys" }, keys.map((key) => h("span", {}, key))));
}

function stages(session) {
  const heads = [["Stage"], ["Role"], ["Calls", "n"], ["Tokens", "n"], ["Cost", "n"], ["Took", "n wide"], ["Tax in tokens"], ["Tax in cost"]];
  const rows = session.stages.map((stage) =>
    h(
      "tr", { "data-stage": stage.stage },
      h("td", {}, h("span", { class: "id" }, stage.stage || "(unnamed)"), trouble(stage)),
      h("td", {}, h("span", { class: "chip" }, stage.role)),
      h("td", { class: "n" }, count(stage.calls)),
      h("td", { class: "n", "data-figure": "tokens" }, count(stage.input_tokens + stage.output_tokens)),
      h("td", { class: "n" }, money(stage.cost_usd)),
      took(stage.latency),
      h("td", {}, share(stage.tax.tokens, "tokens")),
      h("td", {}, share(stage.tax.cost, "cost")),
    ),
  );
  const head = h("tr", {}, heads.map(([name, more]) => h("th", { scope: "col", class: more || null }, name)));
  return h("section", { class: "card" }, h("div", { class: "heading-row" }, h("h2", { class: "heading" }, "Stages")), h("div", { class: "scroll" }, h("table", {}, h("thead", {}, head), h("tbody", {}, rows))));
}

const took = (latency) =>
  tip(h("td", { class: "n wide" }, time(latency.busy_us)), "time in calls", [["all together", time(latency.busy_us)], ["on the critical path", time(latency.critical_path_us)], ["median model call", time(latency.p50_us)], ["95th percentile", time(latency.p95_us)]]);

function trouble(stage) {
  const words = [stage.failed_calls && `${stage.failed_calls} failed`, stage.retries && `${stage.retries} retried`, stage.rework_calls && `${stage.rework_calls} in rework`].filter(Boolean);
  return words.length ? h("span", { class: "under" }, words.join(", ")) : null;
}

function handoffs(detail) {
  const rows = detail.handoffs.map((handoff) =>
    h(
      "tr", {},
      h("td", {}, h("span", { class: "id" }, `${handoff.from_stage} \u2192 ${handoff.to_stage}`)),
      h("td", {}, h("span", { class: "chip" }, handoff.kind.replace("_", " "))),
      h("td", { class: "n" }, handoff.is_idle ? "idle" : time(handoff.net_gap_us)),
      h("td", { class: "n" }, count(handoff.cross_request_tokens)),
      h("td", { class: "n" }, count(handoff.cross_output_tokens)),
      h("td", { class: "wide soft" }, `${handoff.method}, ${Math.round(handoff.confidence * 100)}%`),
    ),
  );
  const heads = [["From, to"], ["Kind"], ["Net gap", "n"], ["Request sent again", "n"], ["Others' text sent again", "n"], ["Known by", "wide"]];
  const head = h("tr", {}, heads.map(([name, more]) => h("th", { scope: "col", class: more || null }, name)));
  return h("section", { class: "card" }, h("div", { class: "heading-row" }, h("h2", { class: "heading" }, "Handoffs")), h("div", { class: "scroll" }, h("table", {}, h("thead", {}, head), h("tbody", {}, rows))));
}
