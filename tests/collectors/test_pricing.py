"""Costs: equal to genai-prices over its whole table, to the nano-dollar; parts that sum; unknown stays unknown."""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import sys
from dataclasses import astuple, replace
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction
from pathlib import Path

import genai_prices
import pytest
from genai_prices.data import providers
from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import TieredPrices, TimeOfDateConstraint
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.nano import Parts, half_even, round_parts, split
from collectors.price_data import PriceData
from collectors.pricing import OwnPrice, Prices
from collectors.records import Cost, Usage

REPOSITORY = Path(__file__).parents[2]
RECORDED = REPOSITORY / "../shared/data/recorded.jsonl.gz"
NANO = 10**9
AT_NS = int(datetime(2026, 11, 21, 9, 30, tzinfo=UTC).timestamp()) * NANO
MODELS = [(provider.id, model.id) for provider in providers for model in provider.models]
OWN = OwnPrice(input=Decimal(1), output=Decimal(4), cached_input=Decimal("0.1"))
TIERS = {
    None: None,
    "default": {"service_tier": "default"},
    "flex": {"service_tier": "flex"},
    "priority": {"service_tier": "priority"},
    "batch": {"processing": "batch"},
    "unheard-of": {"service_tier": "unheard-of"},
}

tokens = st.integers(0, 400_000)
instants = st.datetimes(datetime(2024, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC))


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    """Counts that can be: parts within their wholes, audio apart from what is cached."""
    fresh, read, write, output = (draw(tokens) for _ in range(4))
    return Usage(
        input_tokens=fresh + read + write,
        output_tokens=output,
        cache_read_tokens=read,
        cache_write_tokens=write,
        cache_write_1h_tokens=draw(st.integers(0, write)),
        reasoning_tokens=draw(st.integers(0, output // 2)),
        input_audio_tokens=draw(st.integers(0, fresh)),
        output_audio_tokens=draw(st.integers(0, output // 2)),
        web_searches=draw(st.integers(0, 20)),
        service_tier=draw(st.sampled_from(list(TIERS))),
    )


def by_genai_prices(provider: str, model: str, usage: Usage, at: datetime) -> int | None:
    """genai-prices' own figure in nano-USD; ``None`` where its table has no price per token."""
    counts = genai_prices.Usage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cache_read_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        cache_write_1h_tokens=usage.cache_write_1h_tokens,
        output_reasoning_tokens=usage.reasoning_tokens,
        input_audio_tokens=usage.input_audio_tokens,
        output_audio_tokens=usage.output_audio_tokens,
        cache_audio_read_tokens=0,
        web_searches=usage.web_searches,
    )
    try:
        result = genai_prices.calc_price(
            counts,
            model,
            provider_id=provider,
            genai_request_timestamp=at,
            price_context=TIERS[usage.service_tier],
        )
    except LookupError:
        return None
    known = {key for key, value in vars(result.model_price).items() if value is not None}
    if not known & {"input_mtok", "output_mtok"} and (known or not model.endswith(":free")):
        return None
    return int((result.total_price * NANO).quantize(Decimal(1), ROUND_HALF_EVEN))


def sum_of_parts(cost: Cost) -> int:
    return sum(astuple(cost)[1:6])


@pytest.fixture(scope="module")
def prices() -> Prices:
    return Prices({"mine": OWN})


@settings(max_examples=400)
@given(st.sampled_from(MODELS), usages(), instants)
def test_total_equals_genai_prices(prices: Prices, model: tuple[str, str], usage: Usage, at: datetime) -> None:
    cost = prices.cost(*model, usage, int(at.timestamp()) * NANO)
    assert (cost and cost.total_nano) == by_genai_prices(*model, usage, at.replace(microsecond=0))
    if cost is not None:
        assert sum_of_parts(cost) == cost.total_nano
        assert min(astuple(cost)[1:6]) >= 0
        assert cost.price_version == f"genai-prices {genai_prices.__version__}"


@pytest.mark.parametrize(
    "usage",
    [
        Usage(300_007, 1_001, cache_read_tokens=77, cache_write_tokens=50, cache_write_1h_tokens=20, web_searches=3),
        Usage(10_007, 1_001, reasoning_tokens=300, input_audio_tokens=40, output_audio_tokens=30, service_tier="flex"),
    ],
)
def test_total_equals_genai_prices_for_every_model(prices: Prices, usage: Usage) -> None:
    at = datetime.fromtimestamp(AT_NS // NANO, UTC)
    priced = 0
    for provider, model in MODELS:
        cost = prices.cost(provider, model, usage, AT_NS)
        assert (cost and cost.total_nano) == by_genai_prices(provider, model, usage, at), (provider, model)
        priced += cost is not None
    assert priced > len(MODELS) * 0.8


def test_tier_starts_above_its_threshold(prices: Prices) -> None:
    at = datetime.fromtimestamp(AT_NS // NANO, UTC)
    tiered = 0
    for seller_id, model in [(seller.id, model) for seller in providers for model in seller.models]:
        value = model.get_prices(at).input_mtok
        if isinstance(value, TieredPrices):
            for count in (value.tiers[0].start, value.tiers[0].start + 1):
                usage = Usage(count, 0, cache_read_tokens=0)
                cost = prices.cost(seller_id, model.id, usage, AT_NS)
                assert (cost and cost.total_nano) == by_genai_prices(seller_id, model.id, usage, at), model.id
            tiered += 1
    assert tiered


def test_service_tiers_are_those_of_the_providers_own_models(prices: Prices) -> None:
    """Azure borrows OpenAI's price list; genai-prices does not lend its tiers with it."""
    at = datetime.fromtimestamp(AT_NS // NANO, UTC)
    usage = Usage(10_007, 1_001, cache_read_tokens=0, service_tier="flex")
    plain = replace(usage, service_tier=None)
    cheaper = 0
    for model in (model for provider, model in MODELS if provider == "openai"):
        cost = prices.cost("azure", model, usage, AT_NS)
        assert (cost and cost.total_nano) == by_genai_prices("azure", model, usage, at), model
        cheaper += prices.cost("openai", model, usage, AT_NS) != prices.cost("openai", model, plain, AT_NS)
    assert cheaper


def test_cached_audio_is_the_least_overlap_that_fits(prices: Prices) -> None:
    """100 input tokens, 80 of them audio, 90 cached: at least 70 must be cached audio."""
    model = next(
        (provider.id, model.id)
        for provider in providers
        for model in provider.models
        if not isinstance(model.prices, list) and model.prices.cache_audio_read_mtok is not None
    )
    usage = Usage(100, 0, cache_read_tokens=90, input_audio_tokens=80)
    expected = genai_prices.calc_price(
        genai_prices.Usage(
            input_tokens=100, cache_read_tokens=90, input_audio_tokens=80, cache_audio_read_tokens=70, output_tokens=0
        ),
        model[1],
        provider_id=model[0],
    ).total_price
    cost = prices.cost(*model, usage, AT_NS)
    assert cost is not None
    assert cost.total_nano == expected * NANO


def test_parts_of_a_known_model() -> None:
    """gpt-4o in genai-prices: 2.50 in, 1.25 cached, 10 out; in nano-USD a token 2500, 1250, 10000."""
    cost = Prices({}).cost("openai", "gpt-4o", Usage(1200, 300, cache_read_tokens=1000), AT_NS)
    assert cost is not None
    assert cost.input_nano == 200 * 2500
    assert cost.cache_read_nano == 1000 * 1250
    assert cost.output_nano == 300 * 10_000
    assert cost.total_nano == 200 * 2500 + 1000 * 1250 + 300 * 10_000


def test_every_time_of_day_in_the_table_is_a_whole_minute() -> None:
    """Rows of such models are kept by the minute."""
    dated = [one for p in providers for m in p.models if isinstance(m.prices, list) for one in m.prices]
    bounds = [
        time
        for one in dated
        if isinstance(one.constraint, TimeOfDateConstraint)
        for time in (one.constraint.start_time, one.constraint.end_time)
    ]
    assert bounds
    assert all(time.second == time.microsecond == 0 for time in bounds)


def test_own_price_wins_over_table_and_provider() -> None:
    prices = Prices({"gpt-4o": OWN})
    assert [prices.has_own(model) for model in ("gpt-4o", "gpt-4o-mini", None)] == [True, False, False]
    usage = Usage(1000, 250, cache_read_tokens=400, cache_write_tokens=100, provider_cost_nano=5)
    cost = prices.cost("openai", "gpt-4o", usage, AT_NS)
    assert cost is not None
    assert (cost.input_nano, cost.cache_read_nano, cost.cache_write_nano, cost.output_nano, cost.fee_nano) == (
        500 * 1000,
        400 * 100,
        100 * 1000,  # no price of its own: as fresh input
        250 * 4000,
        0,
    )
    assert re.fullmatch(r"own:[0-9a-f]{8}", cost.price_version)
    dearer = Prices({"gpt-4o": replace(OWN, output=Decimal(5))}).cost("openai", "gpt-4o", usage, AT_NS)
    assert dearer is not None
    assert dearer.price_version != cost.price_version


@given(usages(), st.decimals(0, 100, places=7), st.decimals(0, 100, places=7), st.decimals(0, 1, places=12))
def test_own_price_is_exact(usage: Usage, input_usd: Decimal, output_usd: Decimal, fee: Decimal) -> None:
    entry = OwnPrice(input_usd, output_usd, cached_input=input_usd / 10)
    cost = Prices({"m": entry}).cost("", "m", usage, AT_NS, fee)
    assert cost is not None
    assert usage.input_tokens is not None
    assert usage.output_tokens is not None
    assert usage.cache_read_tokens is not None
    exact = Fraction(input_usd) * (usage.input_tokens - usage.cache_read_tokens) + Fraction(output_usd) * (
        usage.output_tokens
    )
    exact += Fraction(input_usd) / 10 * usage.cache_read_tokens
    assert cost.total_nano == round(exact * 1000 + Fraction(fee) * NANO)  # Fraction rounds half to even
    assert sum_of_parts(cost) == cost.total_nano


@given(
    st.sampled_from([("openai", "gpt-4o"), ("openrouter", "no-such-model"), ("openai", "whisper-1")]),
    st.integers(0, 10**12),
    usages(),
    st.booleans(),
)
def test_providers_own_figure_is_the_total(
    prices: Prices, model: tuple[str, str], total: int, usage: Usage, is_empty: bool
) -> None:
    usage = Usage(provider_cost_nano=total) if is_empty else replace(usage, provider_cost_nano=total)
    cost = prices.cost(*model, usage, AT_NS, Decimal("0.005"))
    assert cost is not None
    assert cost.total_nano == sum_of_parts(cost) == total + 5_000_000
    assert cost.price_version == "provider"


def test_providers_own_figure_is_split_as_the_table_would(prices: Prices) -> None:
    usage = Usage(1200, 300, cache_read_tokens=1000)
    table = prices.cost("openai", "gpt-4o", usage, AT_NS)
    assert table is not None
    halved = prices.cost("openai", "gpt-4o", replace(usage, provider_cost_nano=table.total_nano // 2), AT_NS)
    assert halved is not None
    assert [2 * part for part in astuple(halved)[:6]] == list(astuple(table)[:6])
    unknown = prices.cost("openrouter", "no-such", replace(usage, provider_cost_nano=1500), AT_NS)
    assert unknown is not None
    assert astuple(unknown)[1:6] == (200, 1000, 0, 300, 0)


@pytest.mark.parametrize("declared", [-1, 10**18])
def test_absurd_figure_of_the_provider_is_not_believed(prices: Prices, declared: int) -> None:
    usage = Usage(10, 10)
    assert prices.cost("openai", "gpt-4o", replace(usage, provider_cost_nano=declared), AT_NS) == prices.cost(
        "openai", "gpt-4o", usage, AT_NS
    )


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("openai", "no-such-model"),
        ("no-such-provider", "gpt-4o"),
        ("", "no-such-model"),
        ("", "claude-gemini"),  # two providers' naming schemes claim it
        ("openai", None),
        ("openai", "gpt-4o" + "x" * 300),
        ("openai", "whisper-1"),  # sold by the hour
        ("", ""),
    ],
)
def test_unknown_price_is_none(prices: Prices, provider: str, model: str | None) -> None:
    assert prices.cost(provider, model, Usage(10, 10), AT_NS) is None
    assert prices.cost(provider, model, Usage(10, 10), AT_NS, Decimal("0.01")) is None


def test_model_name_alone_finds_its_only_provider(prices: Prices) -> None:
    usage = Usage(1000, 100)
    assert prices.cost("", "gpt-4o", usage, AT_NS) == prices.cost("openai", "gpt-4o", usage, AT_NS) is not None


@pytest.mark.parametrize(
    "usage",
    [
        Usage(),
        Usage(10, None),
        Usage(None, 10),
        Usage(-1, 10),
        Usage(10, -1),
        Usage(10, 10**10),
        Usage(10**10, 10),
        Usage(10, 10, cache_read_tokens=11),
        Usage(10, 10, cache_read_tokens=-1),
        Usage(10, 10, cache_read_tokens=6, cache_write_tokens=6),
        Usage(10, 10, cache_write_tokens=2, cache_write_1h_tokens=3),
        Usage(10, 10, web_searches=-1),
    ],
)
def test_counts_that_cannot_be_booked_are_unpriced(prices: Prices, usage: Usage) -> None:
    assert prices.cost("openai", "gpt-4o", usage, AT_NS) is None
    assert prices.cost("", "mine", usage, AT_NS) is None


def test_a_free_class_may_be_missing(prices: Prices) -> None:
    """Embeddings report no output and have no price for it."""
    cost = prices.cost("openai", "text-embedding-3-small", Usage(1000), AT_NS)
    assert cost is not None
    assert cost.total_nano == cost.input_nano == 1000 * 20  # 0.02 USD a million


def test_fee_alone_and_beside_tokens(prices: Prices) -> None:
    alone = prices.cost("", None, Usage(), AT_NS, Decimal("0.005"))
    assert alone is not None
    assert (alone.total_nano, alone.fee_nano) == (5_000_000, 5_000_000)
    assert alone.price_version.startswith("own:")
    beside = prices.cost("", "mine", Usage(10, 0), AT_NS, Decimal("0.005"))
    assert beside is not None
    assert (beside.input_nano, beside.fee_nano) == (10 * 1000, 5_000_000)


def test_names_that_agents_choose_are_not_kept_without_bound() -> None:
    """Neither here nor in genai-prices, whose own look-up caches have no bound."""
    snapshot = get_snapshot()
    kept = len(snapshot._lookup_cache) + len(snapshot._provider_cache) + len(snapshot._provider_misses)
    table = PriceData(max_rows=8)
    for n in range(50):
        table.row("openai", f"gpt-4o-mini-{n}", None, AT_NS)
        table.row("", f"no-such-{n}", None, AT_NS)
    assert table._compiled.cache_info().currsize == table._offer.cache_info().currsize == 8
    assert len(snapshot._lookup_cache) + len(snapshot._provider_cache) + len(snapshot._provider_misses) == kept


parts = st.tuples(*[st.integers(0, 10**15)] * 5)


@given(parts, st.integers(1, 10**9))
def test_rounding_is_once_and_half_even(amounts: tuple[int, int, int, int, int], scale: int) -> None:
    rounded = round_parts(amounts, scale)
    assert sum(rounded) == round(Fraction(sum(amounts), scale)) == half_even(sum(amounts), scale)
    for exact, whole in zip(amounts, rounded, strict=True):
        assert abs(Fraction(exact, scale) - whole) < 1
        assert exact or not whole


@given(st.integers(0, 10**15), parts.filter(any))
def test_split_is_exact(total: int, weights: tuple[int, int, int, int, int]) -> None:
    assert sum(split(total, weights)) == total


def test_tie_goes_to_the_earlier_part() -> None:
    assert round_parts((3, 3, 0, 0, 0), 2) == Parts(2, 1, 0, 0, 0)


def test_prices_without_network() -> None:
    """The price table must never try to update itself."""
    code = """
import sys, threading
def refuse(event, arguments):
    if event.startswith("socket."):
        raise RuntimeError(event)
sys.addaudithook(refuse)
from collectors.price_data import PriceData
from collectors.pricing import Prices
from collectors.records import Usage
prices = Prices({})
prices.warm()
assert prices.cost("openai", "gpt-4o", Usage(10, 10), 0) is not None
assert threading.active_count() == 1, threading.enumerate()
"""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


PROVIDER_IDS = {"gemini": "google", "bedrock": "aws", "huggingface": "huggingface_together"}


def _recorded() -> list[tuple[str, str, Usage, Decimal]]:
    """(provider, model, usage, cost in USD as another project's tests expect it)."""
    found = []
    with gzip.open(RECORDED, "rt") as lines:
        for exchange in map(json.loads, lines):
            expected = exchange.get("expected_usage") or {}
            if not expected.get("input_tokens") or not expected.get("cost"):
                continue
            named = re.compile(r'"(?:model|modelVersion)": ?"([^"]+)"')
            model = re.search(r"/model/([^/]+)/", exchange["path"])
            model = model or named.search(exchange["response_body"]) or named.search(exchange["request_body"])
            assert model is not None, exchange["id"]
            usage = Usage(
                expected["input_tokens"],
                expected.get("output_tokens", 0),
                cache_read_tokens=expected.get("cache_read_tokens"),
                reasoning_tokens=expected.get("output_reasoning_tokens"),
            )
            provider = PROVIDER_IDS.get(exchange["provider"], exchange["provider"])
            found.append((provider, model[1], usage, Decimal(expected["cost"])))
    return found


@pytest.mark.recorded
@pytest.mark.skipif(not RECORDED.exists(), reason="the recorded exchanges are not beside the repository")
def test_recorded_costs(prices: Prices) -> None:
    cases = _recorded()
    assert len(cases) > 100
    evening_ns = int(datetime(2025, 8, 1, 20, tzinfo=UTC).timestamp()) * NANO  # DeepSeek's cheap hours
    for provider, model, usage, expected in cases:
        if provider == "cohere":
            continue  # its tests price billed units, not the token counts beside them
        cost = prices.cost(provider, model, usage, evening_ns)
        assert cost is not None, (provider, model)
        assert cost.total_nano == expected * NANO, (provider, model, usage)
