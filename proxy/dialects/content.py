"""Parts of prompts and answers, turned into blocks: the same text has the same digest wherever it stands.

Digests follow ``collectors/fingerprint.py``. Structured parts (tool definitions, arguments) are written as canonical
JSON first, so a tool call that a model emitted in one format is recognised when it comes back as history, or when it
arrives at the tool itself: the digest covers the arguments, not the tool's name or the call's id.
"""

from __future__ import annotations

from typing import Any

import orjson
import xxhash

from collectors.fingerprint import json_block, text_block
from collectors.records import Block, BlockKind, Verdict
from proxy.dialects import Prompt

MAX_KEPT_CHARS = 1024 * 1024
"""Text of one answer that is kept for counting. The digests cover the whole text, kept or not."""

_FLUSH_PARTS = 512
_FLUSH_CHARS = 64 * 1024


def canonical(value: Any) -> str | None:
    """Canonical JSON; None when the value is nested too deeply to be written."""
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
    except TypeError:
        return None


def canonical_arguments(arguments: Any) -> str | None:
    """A tool call's arguments as canonical JSON, whether they came as an object, as JSON text or not at all. Text that
    is not JSON (a free-form tool's input) stays as it is."""
    if arguments is None:
        return "{}"
    if not isinstance(arguments, str):
        return canonical(arguments)
    if not arguments.strip():
        return "{}"
    try:
        return canonical(orjson.loads(arguments)) or arguments
    except ValueError:
        return arguments


def verdict_of(text: str) -> Verdict | None:
    """A validator's structured answer: a JSON object whose ``pass`` is a boolean."""
    text = text.strip()
    if not text.startswith("{") or '"pass"' not in text or len(text) > _FLUSH_CHARS:
        return None
    try:
        passed = orjson.loads(text).get("pass")
    except ValueError:
        return None
    if isinstance(passed, bool):
        return "pass" if passed else "fail"
    return None


class Content:
    """Gathers blocks in order, and beside them the texts that a tokenizer would count."""

    __slots__ = ("blocks", "texts")

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self.texts: list[str] = []

    def add_text(self, text: Any, kind: BlockKind) -> None:
        """Plain text; anything else, and white space alone, is passed over."""
        if isinstance(text, str):
            block = text_block(text, kind)
            if block.size:
                self.blocks.append(block)
                self.texts.append(text)

    def add_json(self, value: Any, kind: BlockKind) -> None:
        """Structured content that a model reads as text."""
        self.add_text(canonical(value), kind)

    def add_arguments(self, arguments: Any) -> None:
        self.add_text(canonical_arguments(arguments), "tool_call")

    def add_media(self, value: Any) -> None:
        """An image, sound or file. It has a digest but no text; ``size`` is that of its JSON, not of its tokens."""
        try:
            self.blocks.append(json_block(value, "media"))
        except TypeError:
            return  # nested too deeply to be media

    def add_running(self, running: RunningText, kind: BlockKind) -> None:
        """An assembled part of an answer; arguments that were kept whole go by their canonical form."""
        block, kept = running.finish(kind)
        if kind == "tool_call" and running.is_whole:
            self.add_arguments(kept)
        elif block.size:
            self.blocks.append(block)
            self.texts.append(kept)

    def take(self, part: Content, allowance: Allowance) -> None:
        """Append another's blocks, and its texts as far as the allowance goes."""
        self.blocks += part.blocks
        for text in part.texts:
            kept = text[: allowance.chars]
            allowance.chars -= len(kept)
            if kept:
                self.texts.append(kept)

    def prompt(self) -> Prompt:
        return Prompt(tuple(self.blocks), tuple(self.texts))


class Allowance:
    """How many more characters of one answer may be kept."""

    __slots__ = ("chars",)

    def __init__(self, chars: int = MAX_KEPT_CHARS) -> None:
        self.chars = chars


class RunningText:
    """A text that arrives in pieces: the digest of all of it, without keeping more than the allowance.

    Gives the block that ``text_block`` gives of the pieces joined. A text that ends before the first flush, as nearly
    all do, is digested in one go; only a longer one gets a running hash.
    """

    __slots__ = ("_allowance", "_chars", "_hash", "_kept", "_parts", "is_whole")

    def __init__(self, allowance: Allowance) -> None:
        self._allowance = allowance
        self._parts: list[str] = []
        self._chars = 0
        self._kept = ""
        self._hash: _RunningHash | None = None
        self.is_whole = True  # everything was kept

    def __bool__(self) -> bool:
        return bool(self._parts) or self._hash is not None

    def add(self, text: str) -> None:
        self._parts.append(text)
        self._chars += len(text)
        if self._chars >= _FLUSH_CHARS or len(self._parts) >= _FLUSH_PARTS:
            if self._hash is None:
                self._hash = _RunningHash()
            self._hash.update(self._join())

    def finish(self, kind: BlockKind) -> tuple[Block, str]:
        """The block of the whole text, and as much of the text as was kept. Called once."""
        if self._hash is None:
            text = "".join(self._parts)
            self._keep(text)
            return text_block(text, kind), self._kept
        self._hash.update(self._join())
        return self._hash.block(kind), self._kept

    def _join(self) -> str:
        text = "".join(self._parts)
        self._parts.clear()
        self._chars = 0
        self._keep(text)
        return text

    def _keep(self, text: str) -> None:
        if self.is_whole:
            self.is_whole = len(text) <= self._allowance.chars
            kept = text if self.is_whole else text[: self._allowance.chars]
            self._allowance.chars -= len(kept)
            self._kept += kept


class _RunningHash:
    """``text_block`` in steps. White space at the end so far counts only if more text follows."""

    __slots__ = ("_gap", "_gap_chars", "_hash", "_size")

    def __init__(self) -> None:
        self._hash = xxhash.xxh3_64()
        self._size = 0
        self._gap: xxhash.xxh3_64 | None = None
        self._gap_chars = 0

    def update(self, text: str) -> None:
        if not self._size:
            text = text.lstrip()
        core = text.rstrip()
        if core:
            self._hash, self._gap = self._gap or self._hash, None
            self._hash.update(core.encode("utf-8", "surrogatepass"))
            self._size += self._gap_chars + len(core)
            self._gap_chars = 0
        space = text[len(core) :]
        if space:
            self._gap = self._gap or self._hash.copy()
            self._gap.update(space.encode())
            self._gap_chars += len(space)

    def block(self, kind: BlockKind) -> Block:
        return Block(self._hash.intdigest(), kind, self._size)
