"""What upstreams say of their limits."""

from __future__ import annotations

from email.utils import formatdate
from pathlib import Path

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from proxy.rate_limits import rate_limits
from tests.serving import serving, spooled
from tests.upstream import always, answer, until, upstream

NOW_S = 1_795_000_000


def told(**headers: str) -> dict[str, int]:
    return rate_limits(CIMultiDict({name.replace("_", "-"): value for name, value in headers.items()}), NOW_S * 10**9)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, {}),
        ({"Retry_After": "2"}, {"retry_after_ms": 2000}),
        ({"Retry_After": "1.5", "Retry_After_Ms": "20"}, {"retry_after_ms": 20}),
        ({"Retry_After": formatdate(NOW_S + 90, usegmt=True)}, {"retry_after_ms": 90_000}),
        ({"Retry_After": formatdate(NOW_S - 90, usegmt=True)}, {"retry_after_ms": 0}),
        ({"X_RateLimit_Remaining_Requests": "99"}, {"limit_requests_left": 99}),
        ({"x_ratelimit_remaining_tokens": "149984.5"}, {"limit_tokens_left": 149_984}),
        (
            {"anthropic_ratelimit_requests_remaining": "3", "anthropic_ratelimit_input_tokens_remaining": "7"},
            {"limit_requests_left": 3, "limit_tokens_left": 7},
        ),
        ({"Retry_After": "soon", "x_ratelimit_remaining_requests": "-1", "x_ratelimit_remaining_tokens": "1e9"}, {}),
    ],
)
def test_headers_of_the_vendors(headers: dict[str, str], expected: dict[str, int]) -> None:
    assert told(**headers) == expected


@given(st.text(max_size=40))
def test_no_value_raises_or_leaves_the_range_of_the_store(value: str) -> None:
    names = ("retry_after", "retry_after_ms", "x_ratelimit_remaining_tokens", "anthropic_ratelimit_requests_remaining")
    assert all(0 <= number < 2**63 for number in told(**dict.fromkeys(names, value)).values())


async def test_they_stand_in_the_record(tmp_path: Path) -> None:
    busy = answer(b"{}", "429 Too Many Requests", extra="retry-after-ms: 250\r\nx-ratelimit-remaining-tokens: 0\r\n")
    settings = {"store": {"url": "clickhouse://127.0.0.1:9/orchtax"}}
    async with (
        upstream(always(busy)) as up,
        serving(tmp_path, **settings, upstreams={"openai": {"base_url": up.url}}) as it,
    ):
        async with (
            aiohttp.ClientSession() as client,
            client.post(it.url + "/openai/v1/chat/completions", data=b"{}") as r,
        ):
            assert r.headers["retry-after-ms"] == "250"
        await until(lambda: len(spooled(it.data)) == 1, what="the record")
        record = spooled(it.data)[0]
        assert (record.retry_after_ms, record.limit_tokens_left, record.limit_requests_left) == (250, 0, None)
