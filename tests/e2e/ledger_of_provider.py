"""The independent count: the demo servers' own journal → calls, attempts, tokens and money, per session and stage.

Shares nothing with the product but the journal's reader: prices are written out here by hand (list prices of November
2026, and the demo's own), money is ``Decimal`` dollars. A request of any kind is one call; an SDK's retry is a call of
its own and one attempt more. Errors cost nothing; of MCP only ``tools/call`` has its price, discovery is free.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import NamedTuple

from proxy.demo.journal import Entry

MILLION = Decimal(1_000_000)


class ListPrice(NamedTuple):
    """USD per million tokens."""

    fresh: Decimal
    cached: Decimal
    written: Decimal
    output: Decimal


def _price(fresh: str, cached: str, written: str, output: str) -> ListPrice:
    return ListPrice(Decimal(fresh), Decimal(cached), Decimal(written), Decimal(output))


PRICES = {
    "gpt-4.1": _price("2.00", "0.50", "2.00", "8.00"),
    "gpt-4.1-mini": _price("0.40", "0.10", "0.40", "1.60"),
    "claude-sonnet-4-6": _price("3.00", "0.30", "3.75", "15.00"),
    "house-70b": _price("0.90", "0.09", "0.90", "3.60"),
}
PRICE_OF_TOOL_CALL = {"mcp": Decimal("0.0005"), "tool": Decimal("0.002")}


@dataclass(frozen=True, slots=True)
class Sums:
    """Of one stage of one session. ``retries`` are the requests that an SDK marked as such; ``failed`` answers had a
    status of 400 and above."""

    calls: int = 0
    model_calls: int = 0
    tool_calls: int = 0
    retries: int = 0
    failed: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    cost_usd: Decimal = Decimal(0)

    def plus(self, entry: Entry) -> Sums:
        return replace(
            self,
            calls=self.calls + 1,
            model_calls=self.model_calls + is_model(entry),
            tool_calls=self.tool_calls + bool(entry.tool),
            retries=self.retries + (entry.attempt > 0),
            failed=self.failed + (entry.status >= 400),
            prompt_tokens=self.prompt_tokens + (entry.prompt_tokens or 0),
            completion_tokens=self.completion_tokens + (entry.completion_tokens or 0),
            cached_tokens=self.cached_tokens + (entry.cached_tokens or 0),
            cache_write_tokens=self.cache_write_tokens + (entry.cache_write_tokens or 0),
            cost_usd=self.cost_usd + cost_usd(entry),
        )


def is_model(entry: Entry) -> bool:
    return entry.api in ("openai", "anthropic")


def cost_usd(entry: Entry) -> Decimal:
    """Exact, in dollars. Raises ``KeyError`` for a model without a price here."""
    if entry.status >= 400:
        return Decimal(0)
    if not is_model(entry):
        return PRICE_OF_TOOL_CALL[entry.api] if entry.tool else Decimal(0)
    price = PRICES[entry.model]
    cached, written = entry.cached_tokens or 0, entry.cache_write_tokens or 0
    fresh = (entry.prompt_tokens or 0) - cached - written
    return (
        fresh * price.fresh
        + cached * price.cached
        + written * price.written
        + (entry.completion_tokens or 0) * price.output
    ) / MILLION


def by_stage(entries: Iterable[Entry]) -> dict[tuple[str, str], Sums]:
    """Journal → sums by ``(session, stage)``."""
    sums: dict[tuple[str, str], Sums] = {}
    for entry in entries:
        key = (entry.session, entry.stage)
        sums[key] = sums.get(key, Sums()).plus(entry)
    return sums


def by_session(entries: Iterable[Entry]) -> dict[str, Sums]:
    """Journal → sums by session."""
    sums: dict[str, Sums] = {}
    for entry in entries:
        sums[entry.session] = sums.get(entry.session, Sums()).plus(entry)
    return sums
