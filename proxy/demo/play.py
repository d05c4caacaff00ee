"""The nouns of the script: what the scripted provider answers, when, and how often it fails first.

A request tells who asks in the API's own end-user field (OpenAI ``user``, Anthropic ``metadata.user_id``) as
``session/stage``. orchtax never reads those fields for attribution, and prompts stay free of marks, so that prompt
caching behaves as in earnest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Failure:
    """An error answer. ``retry_after_ms`` goes into the header that the vendors' SDKs obey."""

    status: int
    retry_after_ms: int
    message: str


@dataclass(frozen=True, slots=True)
class Ask:
    """A tool that the model asks for. String arguments are templates over the case."""

    tool: str
    arguments: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Turn:
    """One answer. ``text`` names a file of ``texts/`` without its ending, ``""`` for none; ``failures`` come first,
    one an attempt. ``first_byte_ms`` passes before anything is sent, ``chunk_ms`` between two chunks of a stream."""

    text: str = ""
    asks: tuple[Ask, ...] = ()
    first_byte_ms: int = 250
    chunk_ms: int = 6
    failures: tuple[Failure, ...] = ()


Script = Mapping[str, tuple[Turn, ...]]
"""Stage → its answers within one session, in order."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. ``fleet`` is the session id up to its last hyphen (``routed-2`` → ``routed``)."""

    session: str
    stage: str

    @property
    def fleet(self) -> str:
        return self.session.rpartition("-")[0]

    def __str__(self) -> str:
        return f"{self.session}/{self.stage}"


def read_caller(mark: object) -> Caller:
    """``session/stage`` → :class:`Caller`; anything else is an unnamed one."""
    session, _, stage = mark.partition("/") if isinstance(mark, str) else ("", "", "")
    return Caller(session, stage)
