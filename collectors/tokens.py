"""Token counts where the provider did not report any, wholly offline.

Exact for models whose tokenizer OpenAI publishes; every other model gets the nearest, ``o200k_base``, and the caller
is told so. Where not even text is at hand, :func:`estimate` goes by length. Counterpart: ``ranks_file.py`` builds the
encodings.
"""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from collections.abc import Iterable
from typing import TYPE_CHECKING

import xxhash

from collectors.ranks_file import VENDORED, build

if TYPE_CHECKING:
    from tiktoken import Encoding

NEAREST = "o200k_base"
CHARACTERS_PER_TOKEN = 4
TOKENS_PER_MESSAGE = 4
TOKENS_OF_PRIMING = 3
LONG_TEXT = 256  # characters; below it encoding costs no more than hashing and locking
CACHE_ENTRY_BYTES = 256  # key tuple 56, digest 49, integer 28, the dictionary's own up to 110
# o200k_harmony is o200k_base with more special tokens, and those count as ordinary text here.
_SAME_COUNTS = {"o200k_harmony": "o200k_base"}


def estimate(characters: int) -> int:
    """Tokens of a text by its length: four characters a token, rounded up.

    Source: OpenAI's rule of thumb for English, https://help.openai.com/en/articles/4936856 (November 2026). Other
    languages and code need more tokens for the same length, so the figure is marked ``estimated`` wherever it is kept.
    """
    return -(-characters // CHARACTERS_PER_TOKEN)


def tokenizer_of(model: str | None) -> tuple[str, bool]:
    """``(encoding name, whether it is that model's own)``, by tiktoken's model table.

    A vendor's prefix (``openai/gpt-4o``, ``openai.gpt-oss-120b``) and a router's suffix (``gpt-4o:free``) are looked
    through; fine-tunes (``ft:gpt-4o:…``) are in tiktoken's own table. Retired encodings (``p50k_base`` …) are not
    vendored: their models get the nearest too.
    """
    from tiktoken.model import encoding_name_for_model

    name = (model or "").lower().rpartition("/")[2].removeprefix("openai.")
    if not name.startswith("ft:"):
        name = name.partition(":")[0]
    try:
        encoding = encoding_name_for_model(name)
    except KeyError:
        return NEAREST, False
    encoding = _SAME_COUNTS.get(encoding, encoding)
    return (encoding, True) if encoding in VENDORED else (NEAREST, False)


class TokenCounter:
    """Counts tokens. Safe to use from several threads.

    An encoding is loaded when first needed: about 0.4 s and 50 MB for ``o200k_base``, 0.2 s and 30 MB for
    ``cl100k_base``. Call :meth:`warm` in a thread before; tiktoken holds the interpreter for up to 0.2 s of it.
    Special tokens inside a text (``<|endoftext|>``) count as the ordinary text they are on the wire. Counts of long
    texts are kept by digest, so that a history sent again costs only its hash; the digest is seeded per counter, so
    that nobody outside can prepare two texts that share one.
    """

    def __init__(self, max_cache_bytes: int = 4 * 1024 * 1024) -> None:
        self._encodings: dict[str, Encoding] = {}
        self._loading = threading.Lock()
        self._counts: OrderedDict[tuple[str, bytes], int] = OrderedDict()
        self._counting = threading.Lock()
        self._max_entries = max_cache_bytes // CACHE_ENTRY_BYTES
        self._seed = secrets.randbits(64)

    def warm(self, model: str | None) -> None:
        """Load the encoding of a model. Blocks; at once where it is loaded already."""
        self._encoding(tokenizer_of(model)[0])

    def is_ready(self, model: str | None) -> bool:
        """Whether :meth:`count` for this model would not have to load anything."""
        return tokenizer_of(model)[0] in self._encodings

    def count(self, model: str | None, texts: Iterable[str]) -> tuple[int, bool]:
        """``(tokens of all texts, whether the tokenizer is that model's own)``; each text is encoded by itself."""
        name, is_exact = tokenizer_of(model)
        encoding = self._encoding(name)
        return sum(self._count_one(encoding, text) for text in texts), is_exact

    def count_chat(self, model: str | None, message_count: int, texts: Iterable[str]) -> tuple[int, bool]:
        """As :meth:`count`, plus what the chat format adds: 4 tokens a message (3 of framing, 1 the role's name) and 3
        that prime the answer. ``texts`` are the contents, without roles.

        Source: ``num_tokens_from_messages`` of OpenAI's cookbook, "How to count tokens with tiktoken"
        (tokens_per_message = 3, every value counted, the role among them); it equals the usage that gpt-4o reports for
        plain text messages. Reasoning models report a few tokens less; tool definitions have a format of their own.
        """
        tokens, is_exact = self.count(model, texts)
        return tokens + TOKENS_PER_MESSAGE * message_count + TOKENS_OF_PRIMING, is_exact

    def _encoding(self, name: str) -> Encoding:
        found = self._encodings.get(name)
        if found is not None:
            return found
        with self._loading:
            if name not in self._encodings:
                self._encodings[name] = build(name)
            return self._encodings[name]

    def _count_one(self, encoding: Encoding, text: str) -> int:
        if len(text) < LONG_TEXT or not self._max_entries:
            return len(encoding.encode_ordinary(text))
        digest = xxhash.xxh3_128_digest(text.encode("utf-8", "surrogatepass"), seed=self._seed)
        key = (encoding.name, digest)
        with self._counting:
            if key in self._counts:
                self._counts.move_to_end(key)
                return self._counts[key]
        tokens = len(encoding.encode_ordinary(text))
        with self._counting:
            self._counts[key] = tokens
            if len(self._counts) > self._max_entries:
                self._counts.popitem(last=False)
        return tokens
