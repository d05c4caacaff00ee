"""An agent's card that names the proxy instead of the agent, so that clients which dial the card's addresses stay with
the proxy.

Source: a2a-protocol.org, "AgentCard" of revision 1.0 (``supportedInterfaces``) and 0.3 (``url``,
``additionalInterfaces``). A card signed by its agent (``signatures``) no longer verifies after it. gRPC addresses stay,
as the proxy speaks HTTP+JSON and JSON-RPC alone.
"""

from __future__ import annotations

from urllib.parse import urlsplit

import orjson

from proxy.dialects import Address
from proxy.dialects.fields import Json, parse, rows, table

MAX_CARD_BYTES = 1024 * 1024
"""A longer answer passes as it is: cards are a few KB."""


def rewrite_card(card: bytes, address: Address) -> bytes:
    """The card with its addresses below the proxy's; the same bytes when there is nothing to rewrite, or when it is
    no JSON object."""
    try:
        told = table(parse(card))
        before = orjson.dumps(told)
        _rename(told, "preferredTransport", address)
        for name in ("supportedInterfaces", "additionalInterfaces"):
            for interface in map(table, rows(told.get(name))):
                _rename(interface, "protocolBinding" if "protocolBinding" in interface else "transport", address)
        after = orjson.dumps(told)
    except (ValueError, TypeError):  # not JSON, or nested too deeply to be written again
        return card
    return card if after == before else after


def _rename(interface: Json, binding: str, address: Address) -> None:
    url, spoken = interface.get("url"), interface.get(binding)
    if isinstance(url, str) and not (isinstance(spoken, str) and spoken.upper() == "GRPC"):
        interface["url"] = _through(url, address)


def _through(url: str, address: Address) -> str:
    """The URL below the proxy's address. The path decides, not the host: an agent often knows itself by another name
    than the operator calls it. What lies outside the upstream's base path cannot be reached and stays."""
    try:
        parts, base = urlsplit(url), urlsplit(address.upstream).path
    except ValueError:
        return url
    below = parts.path == base or parts.path.startswith(base + "/")
    if parts.scheme not in ("http", "https") or not below:
        return url
    return address.proxy + parts.path.removeprefix(base) + (f"?{parts.query}" if parts.query else "")


class CardFilter:
    """Holds a card back until it is whole and gives it out rewritten. An answer over the bound passes as it came."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._held = bytearray()
        self._is_card = True

    def feed(self, chunk: bytes) -> bytes:
        if not self._is_card:
            return chunk
        self._held += chunk
        if len(self._held) <= MAX_CARD_BYTES:
            return b""
        self._is_card = False
        return self._take()

    def finish(self) -> bytes:
        held = self._take()
        return rewrite_card(held, self._address) if self._is_card else held

    def _take(self) -> bytes:
        held = bytes(self._held)
        self._held.clear()
        return held
