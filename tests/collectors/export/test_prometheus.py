"""Exposition: counters equal sums over the records, labels stay bounded."""

from __future__ import annotations

from dataclasses import replace

from prometheus_client.parser import text_string_to_metric_families

from collectors.export.prometheus import MOST_UPSTREAMS, Metrics
from collectors.figures import LINES
from tests.admin_port import FLEET, admin_port
from tests.seeding import demo_sessions

Samples = dict[str, list[tuple[dict[str, str], float]]]


def samples(text: str) -> Samples:
    found: Samples = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


async def test_counters_equal_sums_over_the_records() -> None:
    sessions = demo_sessions()
    records = [record for calls, _ in sessions for record in calls]
    async with admin_port(None) as port:
        port.metrics.observe(records)
        port.metrics.settle([analysis for _, analysis in sessions])
        port.metrics.settle([sessions[0][1]])  # again: it replaces, it does not add
        status, text, headers = await port.get("/metrics")
    assert (status, headers["Content-Type"].partition(";")[0]) == (200, "text/plain")
    found = samples(text)
    assert sum(value for _, value in found["orchtax_calls_total"]) == len(records)
    failed = sum(value for labels, value in found["orchtax_calls_total"] if labels["outcome"] != "ok")
    assert failed == sum(record.outcome != "ok" for record in records)
    assert sum(value for _, value in found["orchtax_tokens_total"]) == sum(record.tokens for record in records)
    assert round(sum(value for _, value in found["orchtax_cost_usd_total"]) * 1e9) == sum(
        record.cost_nano or 0 for record in records
    )
    for labels, value in found["orchtax_tax_tokens"]:
        name = f"{labels['line']}_tokens"
        assert value == sum(getattr(receipt, name) for _, a in sessions for receipt in a.receipts)
    assert {labels["line"] for labels, _ in found["orchtax_tax_tokens"]} == set(LINES)
    assert "support-4711" not in text


def test_labels_are_bounded() -> None:
    metrics, record = Metrics(), demo_sessions()[0][0][0]
    metrics.observe(replace(record, upstream=f"up-{number}") for number in range(3 * MOST_UPSTREAMS))
    calls = samples(metrics.exposition(FLEET).decode())["orchtax_calls_total"]
    assert len(calls) == MOST_UPSTREAMS + 1
    assert {labels["upstream"]: value for labels, value in calls}["other"] == 2 * MOST_UPSTREAMS


def test_the_fleet_is_told() -> None:
    found = samples(Metrics().exposition(FLEET).decode())
    assert found["orchtax_spool_bytes"] == [({}, FLEET.spool.bytes)]
    assert {labels["state"]: value for labels, value in found["orchtax_store_state"]} == {
        "warming": 0,
        "ready": 1,
        "down": 0,
    }
