"""The one file that imports genai-prices: its bundled price table, looked up and compiled into rows.

genai-prices can update itself over the network. Nothing here starts that, and the bundled table is read directly, so
that no update or custom snapshot made elsewhere in the process changes a price. Importing it takes 0.1 s and 6 MB
over what a worker imports anyway, so it is imported at the first look-up. Read in genai-prices 0.2.3.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING

from collectors.nano import NANO, Parts, PlainParts, split
from collectors.price_rows import Row, compile_rates
from collectors.records import Usage

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice, Provider

MAX_NAME = 256  # characters; names are matched against patterns, and agents choose them
_MINUTE_NS = 60 * 10**9
_DAY_NS = 24 * 60 * _MINUTE_NS
_KEYS = {
    "input": "input_mtok",
    "cache_read": "cache_read_mtok",
    "cache_write": "cache_write_mtok",
    "cache_write_1h": "cache_write_1h_mtok",
    "output": "output_mtok",
    "web_searches": "web_searches_kcount",
    "requests": "requests_kcount",
}
_ODD_KEYS = ("input_audio_mtok", "output_audio_mtok", "cache_audio_read_mtok", "output_reasoning_mtok")


@dataclass(frozen=True, slots=True)
class _Offer:
    """A model as one provider sells it."""

    model: ModelInfo
    has_variants: bool  # genai-prices knows service tiers of a provider's own models only, not of borrowed ones


class PriceData:
    """Rows of genai-prices' table. Look-ups are kept, misses too, in bounded caches: agents choose the names."""

    def __init__(self, max_rows: int = 1024) -> None:
        self._offer = lru_cache(max_rows)(_find)
        self._compiled = lru_cache(max_rows)(self._compile)

    def row(self, provider: str, model: str, tier: str | None, at_ns: int) -> Row | None:
        """The price of a model at a time (nanoseconds since the epoch); ``None`` when the table has none.

        Prices change with the UTC date, some with the time of day (to the minute); rows are kept for as long.
        """
        row = self._compiled(provider, model, tier, at_ns // _DAY_NS * _DAY_NS)
        if row is not None and row.is_timed:
            return self._compiled(provider, model, tier, at_ns // _MINUTE_NS * _MINUTE_NS)
        return row

    def _compile(self, provider: str, model: str, tier: str | None, at_ns: int) -> Row | None:
        offer = self._offer(provider, model)
        if offer is None:
            return None
        from genai_prices import __version__

        context = _context(tier) if offer.has_variants else None
        prices = offer.model.get_prices(datetime.fromtimestamp(at_ns // NANO, UTC), context)
        if prices.input_mtok is None and prices.output_mtok is None and not _is_free(model, prices):
            return None  # sold by the minute, page or character, or no price known: no usage tells what it costs
        steps = tuple((start, compile_rates(dict(_at(prices, start)))) for start in _starts(prices))
        has_odd = any(getattr(prices, key) is not None for key in _ODD_KEYS)
        return Row(steps, f"genai-prices {__version__}", _is_timed(offer.model), prices if has_odd else None)


def odd_parts(prices: ModelPrice, usage: Usage, weights: PlainParts) -> tuple[Parts, int] | None:
    """``(parts, scale)`` of a call with audio or reasoning tokens, by genai-prices itself; ``None`` if it refuses the
    counts. What input costs in all is split among fresh, read and written tokens as ``weights`` has them.

    Audio and cached tokens are reported without their overlap; the least one that fits the total is assumed.
    """
    from genai_prices import Usage as Counts

    read, audio, total_in = usage.cache_read_tokens or 0, usage.input_audio_tokens or 0, usage.input_tokens or 0
    write = usage.cache_write_1h_tokens if usage.cache_write_tokens is None else usage.cache_write_tokens
    try:
        counts = Counts(
            input_tokens=total_in,
            output_tokens=usage.output_tokens,
            cache_read_tokens=read,
            cache_write_tokens=write,
            cache_write_1h_tokens=usage.cache_write_1h_tokens,
            input_audio_tokens=audio,
            cache_audio_read_tokens=min(read, audio, max(0, read + (write or 0) + audio - total_in)),
            output_audio_tokens=usage.output_audio_tokens,
            output_reasoning_tokens=usage.reasoning_tokens,
            web_searches=usage.web_searches,
        )
        result = prices.calc_price(counts)
    except ValueError:
        return None
    total, given, output = (Fraction(result[key]) * NANO for key in ("total_price", "input_price", "output_price"))
    scale = total.denominator * given.denominator * output.denominator
    sides = (*weights[:3], 0, 0) if any(weights[:3]) else (1, 0, 0, 0, 0)
    lines = split(int(given * scale), sides)
    return lines._replace(output=int(output * scale), fee=int((total - given - output) * scale)), scale


def _find(provider: str, model: str) -> _Offer | None:
    """Look a model up without genai-prices' own caches, which have no bound."""
    if len(model) > MAX_NAME:
        return None
    from genai_prices.data import providers
    from genai_prices.data_snapshot import find_provider_by_id

    seller = find_provider_by_id(providers, provider) if provider else _only_claimant(providers, model)
    found = seller.find_model(model.lower(), all_providers=providers) if seller else None
    if seller is None or found is None:
        return None
    return _Offer(found, any(found is own for own in seller.models))


def _only_claimant(providers: list[Provider], model: str) -> Provider | None:
    """The one provider whose naming scheme a model's name follows; ``None`` when there are several, or none."""
    claiming = [one for one in providers if one.model_match is not None and one.model_match.is_match(model)]
    return claiming[0] if len(claiming) == 1 else None


def _context(tier: str | None) -> dict[str, str] | None:
    """The price table calls ``batch`` a kind of processing, every other name a service tier."""
    if tier is None:
        return None
    tier = tier.lower()
    return {"processing": "batch"} if tier == "batch" else {"service_tier": tier}


def _is_free(model: str, prices: ModelPrice) -> bool:
    """No price at all means free only where the name says so (``…:free``)."""
    return model.endswith(":free") and not any(value is not None for value in vars(prices).values())


def _is_timed(model: ModelInfo) -> bool:
    from genai_prices.types import TimeOfDateConstraint

    dated = [*(model.prices if isinstance(model.prices, list) else ()), *(model.price_variants or ())]
    return any(isinstance(one.constraint, TimeOfDateConstraint) for one in dated)


def _starts(prices: ModelPrice) -> list[int]:
    """Where the tiers of any class start, ascending, after -1 for the base price."""
    from genai_prices.types import TieredPrices

    tiered = [value for value in vars(prices).values() if isinstance(value, TieredPrices)]
    return [-1, *sorted({tier.start for value in tiered for tier in value.tiers})]


def _at(prices: ModelPrice, start: int) -> Iterator[tuple[str, Decimal]]:
    """The price of each class for a call with just more than ``start`` input tokens."""
    from genai_prices.types import TieredPrices

    for name, key in _KEYS.items():
        value = getattr(prices, key)
        if isinstance(value, TieredPrices):
            reached = [tier.price for tier in value.tiers if tier.start <= start]
            yield name, reached[-1] if reached else value.base
        elif value is not None:
            yield name, value
