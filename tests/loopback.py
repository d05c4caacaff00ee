"""A watch over this process's sockets: whatever would leave the machine is refused and remembered."""

from __future__ import annotations

import ipaddress
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

_EVENTS = {"socket.connect": 1, "socket.sendto": 1, "socket.getaddrinfo": 0, "socket.gethostbyname": 0}
"""Audit events of Python's sockets, and which argument names the peer."""


@dataclass(slots=True)
class Watch:
    """``refused`` has the peers that somebody tried to reach or to look up."""

    refused: list[str] = field(default_factory=list)
    is_on: bool = True

    def hook(self, event: str, args: tuple[Any, ...]) -> None:
        at = _EVENTS.get(event) if self.is_on else None
        if at is None or _is_near(args[at]):
            return
        self.refused.append(str(args[at]))
        raise ConnectionRefusedError(f"tests stay on this machine: {args[at]}")


@contextmanager
def loopback_only() -> Iterator[Watch]:
    """Watch until left. An audit hook cannot be taken out again: it is switched off."""
    watch = Watch()
    sys.addaudithook(watch.hook)
    try:
        yield watch
    finally:
        watch.is_on = False


def _is_near(peer: object) -> bool:
    """This machine: a loopback address or name, none at all, or a socket in the file system."""
    host = peer[0] if isinstance(peer, tuple) else peer
    host = host.decode() if isinstance(host, bytes) else host
    if not isinstance(peer, tuple) and isinstance(host, str) and host.startswith(("/", "\0")):
        return True
    try:
        return host in (None, "", "localhost") or ipaddress.ip_address(str(host)).is_loopback
    except ValueError:
        return False
