"""Builds tiktoken encodings from the rank files in ``ranks/``: no network, no cache directory, no environment variable.

tiktoken's own constructors (``tiktoken_ext.openai_public``) fetch their ranks by calling ``load_tiktoken_bpe(url,
expected_hash)``, a global of their module. Here the same constructor code runs over a copy of those globals in which
that one name reads our file. Pattern, special tokens and the pinned digest so stay tiktoken's and follow its upgrades,
and nothing in tiktoken is patched. Read in tiktoken 0.14.0; ``tests/collectors/test_tokens.py`` compares with
``tiktoken.get_encoding``.
"""

from __future__ import annotations

import gzip
import hashlib
from binascii import a2b_base64
from collections.abc import Callable
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tiktoken import Encoding

RANKS = Path(__file__).parent / "ranks"
VENDORED = ("o200k_base", "cl100k_base")


def read_plain(name: str) -> bytes:
    """The rank file of an encoding as OpenAI publishes it: lines of ``base64(token) rank``."""
    return gzip.decompress((RANKS / f"{name}.tiktoken.gz").read_bytes())


def constructor_arguments(name: str, read: Callable[[str], bytes] = read_plain) -> dict[str, Any]:
    """The keyword arguments of ``tiktoken.Encoding`` for a vendored encoding.

    Raises:
        ValueError: the rank file's SHA-256 is not the one that this tiktoken pins.
    """
    from tiktoken_ext import openai_public  # type: ignore[import-untyped]  # tiktoken types its core only

    def load(_url: str, expected_hash: str | None = None) -> dict[bytes, int]:
        plain = read(name)
        if hashlib.sha256(plain).hexdigest() != expected_hash:
            raise ValueError(f"the ranks of {name} are not those that tiktoken pins: run deploy/vendor_ranks.py")
        return parse(plain)

    original = openai_public.ENCODING_CONSTRUCTORS[name]
    arguments: dict[str, Any] = FunctionType(original.__code__, {**vars(openai_public), "load_tiktoken_bpe": load})()
    return arguments


def parse(plain: bytes) -> dict[bytes, int]:
    """Token bytes → rank."""
    fields = plain.split()
    return dict(zip(map(a2b_base64, fields[::2]), map(int, fields[1::2]), strict=True))


def build(name: str) -> Encoding:
    """An encoding good for encoding. Takes about 0.4 s and 50 MB for ``o200k_base``: call it in a thread, once.

    The Python dictionary of ranks is emptied afterwards, which saves a third of the memory: tiktoken has copied it into
    its own table by then, and only decoding by single token and pickling look at the Python one.
    """
    from tiktoken import Encoding

    arguments = constructor_arguments(name)
    encoding = Encoding(**arguments)
    arguments["mergeable_ranks"].clear()
    return encoding
