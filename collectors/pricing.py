"""What a call cost: usage in, :class:`~collectors.records.Cost` out, or ``None`` for *unpriced*, never a guess.

Whose price counts, first hit wins: the operator's own price of exactly that model; the provider's own figure for the
call (``usage.provider_cost_nano``); the bundled table of genai-prices. Every cost names its price in ``price_version``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import astuple, dataclass, replace
from decimal import Decimal

from collectors.nano import Parts, add_fee, from_usd, half_even, round_parts, split
from collectors.price_data import PriceData, odd_parts
from collectors.price_rows import Rates, Row, compile_rates, price
from collectors.records import Cost, Usage

MAX_COST_NANO = 10**15  # a million dollars for one call is not believed
_EQUAL = Rates(scale=1, input=1, cache_read=1, cache_write=1, cache_write_1h=1, output=1, web_searches=0, requests=0)


@dataclass(frozen=True, slots=True)
class OwnPrice:
    """An operator's price of a model, USD per million tokens. ``None`` for a cached class: as fresh input."""

    input: Decimal
    output: Decimal
    cached_input: Decimal | None = None
    cache_write: Decimal | None = None


class Prices:
    """Prices calls. Bounded caches are its only state; safe to use from several threads."""

    def __init__(self, own: Mapping[str, OwnPrice]) -> None:
        self._own = {model: _own_row(model, entry) for model, entry in own.items()}
        self._table = PriceData()

    def warm(self) -> None:
        """Import the price table (0.2 s, once), so that the first call does not wait for it."""
        self._table.row("openai", "gpt-4o", None, 0)

    def has_own(self, model: str | None) -> bool:
        """Whether the operator gave a price for exactly this model."""
        return model in self._own

    def cost(
        self, provider: str, model: str | None, usage: Usage, at_ns: int, fee: Decimal | None = None
    ) -> Cost | None:
        """The cost of one call that ended at ``at_ns`` (nanoseconds since the epoch); ``None`` when it is unknown.

        Args:
            provider: id in genai-prices (``openai``); "" finds the one provider whose naming scheme the model follows.
            model: as the call named it; on ``None`` as the result the caller may try the answer's model.
            usage: counts that cannot be (negative, absurd, parts beyond their whole) make the call unpriced.
            fee: USD for the call itself, beside its tokens (a tool's price). Alone it is the cost of a call without
                tokens; beside tokens of an unknown price the whole stays unknown.
        """
        own = self._own.get(model) if model is not None else None
        row = own
        if row is None and model is not None:
            row = self._table.row(provider, model, usage.service_tier, at_ns)
        declared = usage.provider_cost_nano
        if own is None and declared is not None and 0 <= declared <= MAX_COST_NANO:
            return _declared(declared, usage, row, fee)
        if usage.input_tokens is None and usage.output_tokens is None:
            return _fee_only(fee)
        return _by_row(row, usage, fee) if row is not None else None


def _by_row(row: Row, usage: Usage, fee: Decimal | None) -> Cost | None:
    rates = row.rates(usage.input_tokens or 0)
    parts, scale = price(usage, rates), rates.scale
    if parts is None:
        return None
    if row.odd is not None and (usage.input_audio_tokens or usage.output_audio_tokens or usage.reasoning_tokens):
        computed = odd_parts(row.odd, usage, parts)
        if computed is None:
            return None
        parts, scale = computed
    if fee:
        parts, scale = add_fee(parts, scale, fee)
    fresh, read, write, output, fees = parts if scale == 1 else round_parts(parts, scale)
    return Cost(fresh + read + write + output + fees, fresh, read, write, output, fees, row.version)


def _declared(total: int, usage: Usage, row: Row | None, fee: Decimal | None) -> Cost:
    """The provider's own total, split as the price table would split its own; without one, by counts alone, as if every
    token cost the same. A call without tokens is all fee. The operator's fee comes on top."""
    parts = price(usage, row.rates(usage.input_tokens or 0)) if row is not None else None
    if parts is None or not any(parts):
        known = replace(usage, input_tokens=usage.input_tokens or 0, output_tokens=usage.output_tokens or 0)
        parts = price(known, _EQUAL)
    lines = split(total, parts) if parts is not None and any(parts) else Parts(0, 0, 0, 0, total)
    extra = _fee_nano(fee)
    return Cost(
        total + extra, lines.input, lines.cache_read, lines.cache_write, lines.output, lines.fee + extra, "provider"
    )


def _fee_only(fee: Decimal | None) -> Cost | None:
    if fee is None:
        return None
    amount = _fee_nano(fee)
    return Cost(amount, 0, 0, 0, 0, amount, _version(("fee", fee)))


def _fee_nano(fee: Decimal | None) -> int:
    exact = from_usd(fee or Decimal(0))
    return half_even(exact.numerator, exact.denominator)


def _own_row(model: str, entry: OwnPrice) -> Row:
    given = {
        "input": entry.input,
        "output": entry.output,
        "cache_read": entry.cached_input,
        "cache_write": entry.cache_write,
    }
    rates = compile_rates({name: value for name, value in given.items() if value is not None})
    return Row(((-1, rates),), _version((model, *astuple(entry))))


def _version(entry: tuple[object, ...]) -> str:
    """``own:`` and 8 hex digits that change whenever the operator's entry does."""
    text = "\n".join(str(value) for value in entry)
    return f"own:{hashlib.sha256(text.encode()).hexdigest()[:8]}"
