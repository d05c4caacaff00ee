"""Writes AWS event streams, as Bedrock sends them."""

from __future__ import annotations

import base64
import struct
from typing import Any
from zlib import crc32

import orjson

STREAM = "application/vnd.amazon.eventstream"


def string_header(name: str, value: str) -> bytes:
    """A header of type 7."""
    return _name(name) + b"\x07" + struct.pack(">H", len(value.encode())) + value.encode()


def typed_header(name: str, kind: int, value: bytes) -> bytes:
    """A header of another type, its value as it stands on the wire."""
    return _name(name) + bytes([kind]) + value


def _name(name: str) -> bytes:
    return bytes([len(name.encode())]) + name.encode()


def frame(headers: bytes, payload: bytes) -> bytes:
    """One message around ready headers."""
    prelude = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    message = prelude + struct.pack(">I", crc32(prelude)) + headers + payload
    return message + struct.pack(">I", crc32(message))


def message(name: str, payload: bytes, kind: str = "event") -> bytes:
    """One message of this type; ``kind`` event, exception or error."""
    told = ":error-code" if kind == "error" else f":{kind}-type"
    headers = string_header(told, name) + string_header(":content-type", "application/json")
    return frame(headers + string_header(":message-type", kind), payload)


def converse_stream(*events: tuple[str, Any]) -> bytes:
    """ConverseStream's events; ``p`` is the padding that Bedrock adds."""
    return b"".join(message(name, orjson.dumps({**value, "p": "abcdef"})) for name, value in events)


def chunks(*values: Any) -> bytes:
    """InvokeModelWithResponseStream's chunks, each with a vendor's JSON in it."""
    inner = (base64.b64encode(orjson.dumps(value)).decode() for value in values)
    return b"".join(message("chunk", orjson.dumps({"bytes": text, "p": "abc"})) for text in inner)
