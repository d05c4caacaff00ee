"""A request and an answer without their wire format: what both APIs have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from proxy.demo.play import Caller

Api = Literal["openai", "anthropic"]


@dataclass(frozen=True, slots=True)
class Question:
    """What was asked. ``parts`` are the prompt's texts in prompt order (tools, system, messages); ``cached_until`` is
    how many leading parts the caller allows to be cached (all of them where the API caches unasked)."""

    api: Api
    model: str
    caller: Caller
    parts: tuple[str, ...]
    is_streamed: bool
    wants_usage: bool
    cached_until: int


@dataclass(frozen=True, slots=True)
class ToolAsk:
    id: str
    name: str
    arguments: str  # JSON


@dataclass(frozen=True, slots=True)
class Counts:
    """Tokens. ``prompt`` includes ``cached`` (read from the cache) and ``written`` (put into it)."""

    prompt: int
    completion: int
    cached: int = 0
    written: int = 0


@dataclass(frozen=True, slots=True)
class Reply:
    """What is answered; ``created`` in seconds since the epoch."""

    id: str
    text: str
    asks: tuple[ToolAsk, ...]
    counts: Counts
    created: int

    @property
    def texts(self) -> tuple[str, ...]:
        """Every text that counts as completion: the words, then name and arguments of each tool."""
        return tuple(t for t in (self.text, *(t for a in self.asks for t in (a.name, a.arguments))) if t)


def pieces(text: str, words: int = 6) -> list[str]:
    """Cut a text into chunks of about ``words`` words, as a model's stream comes; joined they are the text."""
    cut = text.split(" ")
    parts = [" ".join(cut[i : i + words]) for i in range(0, len(cut), words)]
    return [p + " " for p in parts[:-1]] + parts[-1:] if text else []
