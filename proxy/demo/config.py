"""The configuration that the demo gives to ``orchtax serve``, and the ports that it takes."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from collectors.records import Role
from proxy.demo.tool_names import MCP_UPSTREAM, ORDERS_UPSTREAM

USUAL_PORTS = (8400, 8401)
OWN_PRICES = {
    "house-70b": {
        "input_per_million_usd": "0.90",
        "cached_input_per_million_usd": "0.09",
        "output_per_million_usd": "3.60",
    },
}
"""Models of the operator's own; gpt-4.1, gpt-4.1-mini and claude-sonnet-4-6 are in the shipped price data."""
PRICE_PER_CALL_USD = {MCP_UPSTREAM: "0.0005", ORDERS_UPSTREAM: "0.002"}


@dataclass(frozen=True, slots=True)
class Ports:
    """All on 127.0.0.1."""

    data: int
    admin: int
    models: int
    tools: int


def free_ports() -> tuple[int, int]:
    """8400 and 8401 where both are free, else two others that are. Another process may still be quicker."""
    for wanted in (USUAL_PORTS, (0, 0)):
        with ExitStack() as held:
            try:
                socks = [held.enter_context(socket.create_server(("127.0.0.1", port))) for port in wanted]
            except OSError:
                continue
            data, admin = (sock.getsockname()[1] for sock in socks)
            return data, admin
    raise OSError("no free port on 127.0.0.1")


def write_config(path: Path, data_dir: Path, ports: Ports, roles: Mapping[str, Role]) -> None:
    """The YAML file, as an operator would write it."""
    models, tools = f"http://127.0.0.1:{ports.models}", f"http://127.0.0.1:{ports.tools}"
    settings: dict[str, Any] = {
        "listen": f"127.0.0.1:{ports.data}",
        "admin": {"listen": f"127.0.0.1:{ports.admin}"},
        "data_dir": str(data_dir),
        "upstreams": {
            "openai": {"base_url": models},
            "anthropic": {"base_url": models},
            MCP_UPSTREAM: _tool("mcp", f"{tools}/mcp", MCP_UPSTREAM),
            ORDERS_UPSTREAM: _tool("tool", f"{tools}/orders", ORDERS_UPSTREAM),
        },
        "stages": {stage: {"role": role} for stage, role in roles.items()},
        "prices": OWN_PRICES,
    }
    path.write_text(yaml.safe_dump(settings, sort_keys=False), "utf-8")


def _tool(kind: str, base_url: str, name: str) -> dict[str, str]:
    return {"kind": kind, "base_url": base_url, "price_per_call_usd": PRICE_PER_CALL_USD[name]}
