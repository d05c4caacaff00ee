"""The provider's prompt cache: which leading parts of a prompt it has seen before, per model, within this run.

OpenAI caches unasked, from 1024 tokens on, in steps of 128
(https://platform.openai.com/docs/guides/prompt-caching). Anthropic caches up to the marked block and tells reads and
writes apart (https://docs.anthropic.com/en/docs/build-with-claude/prompt-caching). Both as of November 2026.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from proxy.demo.question import Question

LEAST_TOKENS = 1024
STEP_TOKENS = 128


class PrefixCache:
    """Remembers prefixes by whole parts; grows with the run, which is short."""

    def __init__(self) -> None:
        self._seen: set[tuple[str, tuple[str, ...]]] = set()

    def hit(self, question: Question, part_tokens: Sequence[int]) -> tuple[int, int]:
        """``(read, written)`` tokens of a prompt, and remembers it. ``part_tokens`` are its parts' token counts."""
        until = question.cached_until
        upto = [0, *accumulate(part_tokens)]
        if upto[until] < LEAST_TOKENS:
            return 0, 0
        known = next((k for k in range(until, 0, -1) if (question.model, question.parts[:k]) in self._seen), 0)
        marked = range(1, until + 1) if question.api == "openai" else (until,)
        self._seen.update((question.model, question.parts[:k]) for k in marked)
        read = upto[known] if upto[known] >= LEAST_TOKENS else 0
        if question.api == "openai":
            return read // STEP_TOKENS * STEP_TOKENS, 0
        return read, upto[until] - read
