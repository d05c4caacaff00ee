"""Cards of agents: rewritten whole where that was asked, else passed byte by byte."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest

from proxy.dialects import Address
from proxy.dialects.a2a import DIALECT
from proxy.dialects.a2a_card import MAX_CARD_BYTES
from tests.reading import cut, head

ADDRESS = Address("http://127.0.0.1:9300/base", "http://localhost:8400/session/s/agent/writer")
CARD: dict[str, Any] = {
    "name": "writer",
    "url": "http://agent.internal:9300/base/rpc?x=1",
    "preferredTransport": "JSONRPC",
    "additionalInterfaces": [
        {"url": "http://127.0.0.1:9300/base", "transport": "HTTP+JSON"},
        {"url": "http://127.0.0.1:9301/base", "transport": "GRPC"},
    ],
    "supportedInterfaces": [
        {"url": "https://agent.example/base/", "protocolBinding": "HTTP+JSON", "protocolVersion": "1.0"},
        {"url": "http://127.0.0.1:9300/elsewhere", "protocolBinding": "JSONRPC"},
        {"url": "http://127.0.0.1:9300/baseless", "protocolBinding": "JSONRPC"},
        {"url": "127.0.0.1:50051", "protocolBinding": "GRPC"},
        {"url": 5},
        {"url": "http://[::1/base"},
    ],
    "signatures": [{"protected": "x", "signature": "y"}],
}


def sifted(card: bytes, cuts: list[int], address: Address | None = ADDRESS) -> bytes:
    asked = DIALECT.describe(replace(head("agent", "/.well-known/agent-card.json", "GET"), address=address), b"", False)
    sieve = DIALECT.stream_filter(asked)
    if sieve is None:
        return card
    return b"".join(sieve.feed(chunk) for chunk in cut(card, cuts)) + sieve.finish()


def test_a_card_names_the_proxy_wherever_the_proxy_can_serve() -> None:
    told = orjson.loads(sifted(orjson.dumps(CARD), [5, 90]))
    assert told["url"] == f"{ADDRESS.proxy}/rpc?x=1"
    assert [each["url"] for each in told["additionalInterfaces"]] == [ADDRESS.proxy, "http://127.0.0.1:9301/base"]
    urls = [each["url"] for each in told["supportedInterfaces"]]
    assert urls == [f"{ADDRESS.proxy}/", *[each["url"] for each in CARD["supportedInterfaces"][1:]]]
    unchanged = {name for name in CARD if told[name] == CARD[name]}
    assert unchanged == {"name", "preferredTransport", "signatures"}


@pytest.mark.parametrize(
    "card",
    [
        b"",
        b"not json",
        b"[1, 2]",
        b'{ "name": "no address" }',
        b'{"a":' * 2000 + b"1" + b"}" * 2000,
        b'{"url": "http://a/base", "x": "' + b"y" * MAX_CARD_BYTES + b'"}',
    ],
    ids=["empty", "text", "list", "bare", "deep", "long"],
)
def test_what_is_no_card_passes_as_it_came(card: bytes) -> None:
    assert sifted(card, [1, 3, len(card) // 2]) == card


def test_a_card_is_untouched_unless_asked() -> None:
    assert sifted(orjson.dumps(CARD), [], None) == orjson.dumps(CARD)
    body = orjson.dumps({"jsonrpc": "2.0", "id": 1, "method": "GetTask", "params": {"id": "t1"}})
    read = DIALECT.describe(replace(head("agent", "/"), address=ADDRESS), body, False)
    assert DIALECT.stream_filter(read) is None
