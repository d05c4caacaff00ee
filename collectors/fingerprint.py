"""Digests of content: the same text has the same 64-bit digest in every worker, process and version.

Exact tier of repetition: one digest a message part, system text or tool definition. Text is stripped of surrounding
white space before hashing, because SDKs differ in a trailing newline; structured parts are hashed in canonical JSON
(sorted keys) so that key order does not matter.
"""

from __future__ import annotations

from typing import Any

import orjson
import xxhash

from collectors.records import Block, BlockKind

_CANONICAL = orjson.OPT_SORT_KEYS
# What may change between two sends of the same question.
_VOLATILE = frozenset({"stream", "stream_options", "seed", "user", "metadata", "safety_identifier"})


def text_block(text: str, kind: BlockKind) -> Block:
    """A block of plain text; ``size`` in characters."""
    text = text.strip()
    return Block(xxhash.xxh3_64_intdigest(text.encode("utf-8", "surrogatepass")), kind, len(text))


def json_block(value: Any, kind: BlockKind) -> Block:
    """A block of structured content (tool definition, tool arguments, media), by its canonical JSON."""
    data = orjson.dumps(value, option=_CANONICAL)
    return Block(xxhash.xxh3_64_intdigest(data), kind, len(data))


def body_hash(body: dict[str, Any], without: frozenset[str] = _VOLATILE) -> str:
    """Hash of a request body without what may differ between two sends of the same question; 16 hex digits."""
    kept = {key: value for key, value in body.items() if key not in without}
    return xxhash.xxh3_64_hexdigest(orjson.dumps(kept, option=_CANONICAL))
