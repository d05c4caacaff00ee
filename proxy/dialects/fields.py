"""Reading JSON that others wrote: every value is checked before it is believed.

A figure that cannot be a token count is dropped here, so that nothing downstream books it; a name is kept short and
printable, so that it can go into a log line, a column or a label.
"""

from __future__ import annotations

from typing import Any

import orjson

from collectors.fingerprint import body_hash

Json = dict[str, Any]

MAX_BODY_BYTES = 16 * 1024 * 1024
"""Of an answer that is not a stream, this much is kept to be parsed: usage may stand at either end of it. Text answers
stay below 1 MB, answers with audio or images below 16 MB; a longer one passes unmeasured."""

MAX_COUNT = 1_000_000_000  # more tokens in one call than any model reads: a figure above it is a mistake
_MAX_LABEL = 256
_BOM = b"\xef\xbb\xbf"


def parse(body: bytes) -> Any:
    """The JSON value that a body is.

    Raises:
        ValueError: not JSON, or nested deeper than the parser goes.
    """
    return orjson.loads(body.removeprefix(_BOM))


def parse_object(body: bytes) -> Json:
    """The JSON object that a body is.

    Raises:
        ValueError: not JSON, or JSON but not an object.
    """
    value = parse(body)
    if not isinstance(value, dict):
        raise ValueError("the body is JSON, but not an object")
    return value


def hash_object(body: Json, *, is_tool: bool = False) -> str:
    """``fingerprint.body_hash``; of a tool call every field counts (``user`` or ``metadata`` are arguments there).

    Raises:
        ValueError: nested too deeply to be written again.
    """
    try:
        return body_hash(body, frozenset()) if is_tool else body_hash(body)
    except TypeError as error:
        raise ValueError(f"the body cannot be hashed: {error}") from error


def table(value: Any) -> Json:
    """The value if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def rows(value: Any) -> list[Any]:
    """The value if it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def count(value: Any) -> int | None:
    """A number of tokens; None for anything that cannot be one (negative, fractional, boolean, absurd)."""
    if type(value) is int and 0 <= value <= MAX_COUNT:
        return value
    return None


def part_of(part: int | None, whole: int | None) -> int | None:
    """A count that is a part of another; None when it is larger than the whole it claims to be part of."""
    return part if part is None or whole is None or part <= whole else None


def label(value: Any) -> str:
    """A short printable name, or ``""``."""
    return value[:_MAX_LABEL] if isinstance(value, str) and value.isprintable() else ""


def error_code(error: Any) -> str:
    """A short code for an error that a body tells: its code, else its type, else just ``error``."""
    for name in ("code", "type"):
        value = table(error).get(name)
        code = str(value) if type(value) is int else label(value)
        if code:
            return code[:64]
    return "error"


class Body:
    """Keeps an answer's bytes up to a bound, to be parsed at its end."""

    __slots__ = ("_chunks", "_max", "_size")

    def __init__(self, max_bytes: int = MAX_BODY_BYTES) -> None:
        self._chunks: list[bytes] = []
        self._size = 0
        self._max = max_bytes

    @property
    def is_too_long(self) -> bool:
        return self._size > self._max

    def feed(self, chunk: bytes) -> None:
        self._size += len(chunk)
        if self._size > self._max:
            self._chunks.clear()
        else:
            self._chunks.append(chunk)

    def parse(self) -> Any:
        """The JSON value, or None: too long, cut, or not JSON."""
        if not self._chunks:
            return None
        try:
            return parse(b"".join(self._chunks))
        except ValueError:
            return None
