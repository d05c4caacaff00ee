"""What a provider itself says a call cost. Source: OpenRouter, "Usage accounting" (November 2026)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from proxy.dialects.fields import Json, table

_MAX_COST_USD = 1_000_000


def told_cost_nano(usage: Json) -> int | None:
    """The provider's own figure, nano-USD. With the operator's own key behind OpenRouter (``is_byok``), ``cost`` is
    OpenRouter's fee alone and the model's price stands beside it."""
    cost = _nano(usage.get("cost"))
    if cost is None or usage.get("is_byok") is not True:
        return cost
    upstream = _nano(table(usage.get("cost_details")).get("upstream_inference_cost"))
    return None if upstream is None else cost + upstream


def _nano(usd: Any) -> int | None:
    if type(usd) not in (int, float) or not 0 <= usd <= _MAX_COST_USD:
        return None
    return int((Decimal(repr(usd)) * 1_000_000_000).to_integral_value())
