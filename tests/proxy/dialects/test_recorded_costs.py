"""What recorded calls cost, beside another project's figures: equal to the nano-dollar, or the difference explained.

The price data is the same (genai-prices), so a cost differs only where it means something else. Each such case is in
``DIFFERENCES`` with its reason, and each reason is checked by working the difference out from the answer's own body.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from collectors.pricing import Prices
from tests.recorded import RECORDED, Exchange, exchanges

pytestmark = [
    pytest.mark.recorded,
    pytest.mark.skipif(not RECORDED.exists(), reason="the recorded exchanges are not beside the repository"),
]
PRICES = Prices({})
NOON, NIGHT = datetime(2026, 11, 20, 12, tzinfo=UTC), datetime(2026, 11, 20, 18, tzinfo=UTC)
SEARCH_USD = {"anthropic": Decimal("0.010"), "openai": Decimal("0.010"), "gemini": Decimal("0.014")}  # November 2026


def cost(one: Exchange, at: datetime = NOON) -> Decimal | None:
    """USD, as orchtax books it: by the model that answered, else by the one that was asked."""
    seen, asked = one.observe(), one.describe().model
    for model in (seen.model, asked):
        if seen.usage is not None and model:
            found = PRICES.cost(one.price_provider, model, seen.usage, int(at.timestamp()) * 10**9)
            if found is not None:
                return Decimal(found.total_nano) / 10**9
    return None


def expected_cost(one: Exchange) -> Decimal | None:
    assert one.expected is not None
    return Decimal(one.expected["cost"]) if "cost" in one.expected else None


def searches(one: Exchange) -> int:
    """Web searches in the answer, read the plain way: told as a number, or item by item in the finished answer."""
    text = one.answer.decode()
    if one.provider == "anthropic":
        return max(map(int, re.findall(r'"web_search_requests":\s*(\d+)', text)))
    if one.provider == "openai":
        last = one.values()[-1]
        items = last.get("response", last)["output"]
        return sum(item["type"] == "web_search_call" and item["action"]["type"] == "search" for item in items)
    candidates = [candidate for value in one.values() for candidate in value["candidates"]]
    return sum(len(c["groundingMetadata"]["webSearchQueries"]) for c in candidates if "groundingMetadata" in c)


def has_search_fees(one: Exchange) -> bool:
    """The provider bills each web search beside the tokens; the other project prices tokens alone."""
    found, want = searches(one), expected_cost(one)
    return found > 0 and want is not None and cost(one) == want + found * SEARCH_USD[one.provider]


def has_own_price(one: Exchange) -> bool:
    """The answer states its own cost, which is what the provider charges."""
    told = re.findall(r'"cost":([\d.]+)', one.answer.decode())
    return bool(told) and cost(one) == Decimal(told[-1])


def is_by_hour(one: Exchange) -> bool:
    """The price depends on the time of day; the other project's figure is the night's."""
    return cost(one, NIGHT) == expected_cost(one) != cost(one)


def is_unpriced_there(one: Exchange) -> bool:
    """The other project expects tokens without a cost, though the price data knows the model."""
    return expected_cost(one) is None and cost(one) is not None


def has_no_usage(one: Exchange) -> bool:
    """An error in mid-stream without usage: unknown here (and then estimated), zero there."""
    seen = one.observe()
    return seen.usage is None and not seen.is_complete and bool(seen.error) and expected_cost(one) == 0


def was_left_early(one: Exchange) -> bool:
    """The other project's client left before the usage came; the recording has it."""
    assert one.expected is not None
    return expected_cost(one) == 0 and "input_tokens" not in one.expected and one.observe().usage is not None


def is_told_later(one: Exchange) -> bool:
    """A background response: the answer has no usage yet, the reading that brings it costs what is expected here."""
    seen = one.observe()
    finished = [poll for poll in exchanges() if poll.head.path.endswith(f"/responses/{seen.response_id}")]
    told = [cost(poll) for poll in finished if poll.observe().usage is not None]
    return seen.usage is None and seen.is_interim and told == [expected_cost(one)]


_RESPONSES = "models/test_openai_responses/test_openai_responses_"
_BACKGROUND = "models/test_openai_responses/test_background_mode_"
_GOOGLE = "models/test_google/test_google_"
DIFFERENCES: dict[str, Callable[[Exchange], bool]] = {
    "models/test_anthropic/test_anthropic_model_web_search_tool_stream#0": has_search_fees,
    "models/test_anthropic/test_anthropic_web_search_tool#0": has_search_fees,
    "models/test_anthropic/test_anthropic_web_search_tool#1": has_search_fees,
    f"{_RESPONSES}model_web_search_tool_stream#0": has_search_fees,
    f"{_RESPONSES}model_web_search_tool_stream#1": has_search_fees,
    f"{_RESPONSES}model_web_search_tool_with_invalid_region#0": has_search_fees,
    f"{_RESPONSES}model_web_search_tool_with_user_location#0": has_search_fees,
    f"{_GOOGLE}vertex_tool_combination_omits_include_server_side_tool_invocations#1": has_search_fees,
    "models/google/test_structured_output/test_native_output_with_builtin_tools#0": has_search_fees,
    f"{_RESPONSES}raw_cot_stream_openrouter#0": has_own_price,
    "models/test_deepseek/test_deepseek_model_thinking_part#0": is_by_hour,
    f"{_RESPONSES}streaming_usage#0": is_unpriced_there,
    "models/test_zai/test_zai_model_simple#0": is_unpriced_there,
    "models/test_zai/test_zai_thinking_stream#0": is_unpriced_there,
    "models/test_groq/test_tool_use_failed_error_streaming#0": has_no_usage,
    "models/test_bedrock/test_stream_cancel#0": was_left_early,
    f"{_BACKGROUND}vcr#0": is_told_later,
    f"{_BACKGROUND}with_tool_vcr#0": is_told_later,
    f"{_BACKGROUND}with_tool_vcr#2": is_told_later,
}


def test_costs_agree_or_their_difference_is_explained() -> None:
    expected = [one for one in exchanges() if one.expected is not None]
    assert len(expected) == 131
    differing = [one for one in expected if cost(one) != expected_cost(one)]
    assert {one.name for one in differing} == set(DIFFERENCES)
    for one in differing:
        assert DIFFERENCES[one.name](one), (one.name, cost(one), expected_cost(one))
