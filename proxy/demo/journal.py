"""The provider's own append-only log: one JSON line a request, written before the answer's last byte leaves.

It is the independent count that orchtax's books are compared with: it shares no code with them but the tokenizer.
"""

from __future__ import annotations

import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import orjson


@dataclass(frozen=True, slots=True)
class Entry:
    """One request as the server saw it. Token counts are None for a failed model call and for tools."""

    api: Literal["openai", "anthropic", "mcp", "tool"]
    session: str
    stage: str
    status: int
    model: str = ""
    operation: str = ""  # the JSON-RPC method, for MCP
    tool: str = ""
    is_streamed: bool = False
    attempt: int = 0  # x-stainless-retry-count: 0 for the first
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    is_complete: bool = True  # False: the caller left before the end
    at_ns: int = 0  # wall clock, nanoseconds since the epoch


class Journal:
    """Appends entries; several processes may share one file (each line is one ``write`` in append mode)."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def write(self, entry: Entry) -> None:
        os.write(self._fd, orjson.dumps({**asdict(entry), "at_ns": time.time_ns()}, option=orjson.OPT_APPEND_NEWLINE))

    def close(self) -> None:
        os.close(self._fd)


def read_journal(path: Path) -> tuple[Entry, ...]:
    """All entries so far, in the order of writing; none when there is no file yet."""
    if not path.exists():
        return ()
    return tuple(Entry(**orjson.loads(line)) for line in path.read_bytes().splitlines())
