"""Wire formats, one file each. A dialect turns bytes into values and never touches a socket.

Each module of this folder that exports ``DIALECT`` (an object with the methods of :class:`Dialect`) is a dialect:
:func:`load` lists the folder, so adding one edits no other file. Modules without ``DIALECT`` are shared parts (framing,
fields, content) or the second file of one format (``openai_chat_answer``). Dialects never import each other. On odd
input ``describe`` may raise ``ValueError``: the exchange counts it and falls back to ``opaque``, which never raises; no
dialect is ever slow or unbounded (see ``tests/contract/test_dialects.py``).
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from collectors.nouns import noun
from collectors.records import Block, Kind, Usage, Verdict

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Address:
    """Where an upstream stands (``upstream``), and how the agent reached it (``proxy``, with session and stage where
    its path named them): ``http://127.0.0.1:9300`` and ``http://localhost:8400/agent/writer``, no final slashes."""

    upstream: str
    proxy: str


@noun
class RequestHead:
    """A request without its body. ``path`` is what the upstream sees, below its base URL (``/v1/chat/completions``);
    ``headers`` look up case-insensitively; ``api`` is the upstream's family (``openai``, ``anthropic``, ``mcp`` …);
    ``address`` is known only where the operator wants cards rewritten."""

    api: str
    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    address: Address | None = None


@noun
class Described:
    """What a dialect read from a request, before it is sent. ``parsed`` is the JSON body for the later steps."""

    kind: Kind
    operation: str = ""
    model: str | None = None
    tool: str = ""
    streamed: bool = False
    max_output_tokens: int | None = None
    previous_id: str = ""
    body_hash: str = ""
    parsed: Json | None = None
    rewritten: bytes | None = None
    """The body to send instead of the agent's, or None to send the agent's own bytes. Set only to ask for usage."""
    hides_usage: bool = False
    """The answer then carries an extra usage chunk that the agent did not ask for: ``StreamFilter`` takes it out."""
    expects_usage: bool = True
    """False when the provider is known not to report usage for this request: a tokenizer is then made ready."""
    is_listening: bool = False
    """The answer is a stream that lasts until the agent has heard enough: its silence is no timeout, the agent's
    leaving no cancellation, and a proxy that stops ends it."""
    address: Address | None = None
    """Set when the whole answer, though no stream, is to go through ``stream_filter`` so that it names the proxy."""


@noun
class Prompt:
    """The content of a request. ``texts`` are for token counting only and never leave the worker."""

    blocks: tuple[Block, ...] = ()
    texts: tuple[str, ...] = ()


@noun
class Observation:
    """What a meter saw of an answer; every field optional. ``usage`` is as reported (source ``reported``), or None.
    ``text`` is the answer's text as far as kept (bounded), for counting; it never leaves the worker."""

    usage: Usage | None = None
    model: str | None = None
    response_id: str = ""
    ids: tuple[str, ...] = ()  # further ids that later requests may name: a conversation, an A2A task or context
    usage_id: str = ""  # an answer that can be read again under this id: its usage is booked the first time alone
    finish_reason: str = ""
    error: str = ""  # an error the body tells although the status is 2xx, as a short code
    outputs: tuple[Block, ...] = ()
    emitted_tools: tuple[str, ...] = ()
    text: str = ""
    verdict: Verdict | None = None  # only from structured pass/fail output
    is_complete: bool = True  # False: the format's own end mark was not seen
    has_ended: bool = False  # that mark was seen in a stream: an agent that leaves now has had the whole answer
    is_interim: bool = False  # the answer only asks for more; the call comes again with it, and is paid then


class Meter(Protocol):
    """Watches one answer. Gets the content-decoded body in chunks cut anywhere; the result must not depend on the
    cuts. Never keeps more than a bounded part of the body."""

    def feed(self, chunk: bytes) -> None: ...

    def finish(self) -> Observation:
        """Called once, after the last chunk, also when the answer was cut."""
        ...


class HeaderReader(Protocol):
    """What a meter may implement beside :class:`Meter`, where a format tells usage in headers."""

    def take_headers(self, headers: Mapping[str, str]) -> None:
        """Called once, before the first chunk. ``headers`` look up case-insensitively."""
        ...


WEBSOCKET = "WEBSOCKET"
"""The method by which ``claims`` is asked for a request that wants to become a WebSocket; on the wire it is a GET."""


@dataclass(frozen=True, slots=True)
class Frame:
    """What one WebSocket frame is to one response. ``turn`` numbers the responses of a socket from 1 as they begin; the
    frame may begin it, end it, both, or just be part of it."""

    turn: int
    begins: Described | None = None
    ends: Observation | None = None
    status: int | None = None  # the HTTP status that an error frame states in place of an answer


class FrameMeter(Protocol):
    """Watches one WebSocket: the text frames of both directions, in the order in which they pass. Never raises, never
    keeps more than a bounded part of what it saw. Frames that belong to no response are None."""

    def sent(self, text: bytes) -> Frame | None:
        """A frame of the agent's, before it is passed on."""
        ...

    def may_end(self, text: bytes) -> bool:
        """Quick: whether a frame of the upstream's could end a response. It is then measured before it is passed on,
        else after."""
        ...

    def received(self, text: bytes) -> Frame | None: ...

    def finish(self) -> Iterable[Frame]:
        """Called once, when the socket has ended: each response that had not, with what was seen of it."""
        ...


class SocketDialect(Protocol):
    """What a dialect may implement beside :class:`Dialect`, where its format is spoken over WebSockets."""

    def frames(self, opening: Described) -> FrameMeter:
        """A meter for a socket whose opening request was described so."""
        ...


class StreamFilter(Protocol):
    """Takes out of a stream what the agent did not ask for. Every other byte passes unchanged and in order."""

    def feed(self, chunk: bytes) -> bytes: ...

    def finish(self) -> bytes:
        """Whatever was held back at the end."""
        ...


@dataclass(frozen=True, slots=True)
class Fault:
    """An error that orchtax itself must tell the agent. ``message`` names what is wrong and how to mend it."""

    status: int
    code: str  # snake_case, stable: unknown_upstream, body_too_large, upstream_unreachable …
    message: str


class Dialect(Protocol):
    """One wire format. All methods are pure and quick; none blocks."""

    name: str

    def claims(self, api: str, method: str, path: str) -> bool:
        """Whether this request is this format's."""
        ...

    def describe(self, head: RequestHead, body: bytes | None, ask_usage: bool) -> Described:
        """Read a request. ``body`` is None when it was too large to read (then only the head is known).

        ``ask_usage`` allows ``rewritten`` (the upstream is known to accept the wish). Raises ``ValueError`` on a body
        that is not this format.
        """
        ...

    def prompt(self, described: Described) -> Prompt:
        """Digest the request's content, in prompt order (tools, system, messages). Runs after sending."""
        ...

    def meter(self, described: Described, status: int, content_type: str) -> Meter: ...

    def stream_filter(self, described: Described) -> StreamFilter | None:
        """Only asked when ``described.hides_usage`` and the answer is a stream, or when ``described.address`` is set;
        the answer's status is 200."""
        ...

    def error_body(self, fault: Fault, described: Described | None) -> tuple[str, bytes]:
        """``(content type, body)`` of an error in this format, as the vendor's own SDK parses it."""
        ...


def load(package: str = __name__) -> dict[str, Dialect]:
    """All dialects of a package's folder by name; of this one, ``opaque`` is always among them. Imports each module
    once, in the order of their names."""
    found: dict[str, Dialect] = {}
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
        dialect: Dialect | None = getattr(importlib.import_module(f"{package}.{module.name}"), "DIALECT", None)
        if dialect is not None:
            found[dialect.name] = dialect
    return found


def choose(dialects: Mapping[str, Dialect], api: str, method: str, path: str) -> Dialect:
    """The dialect that claims the request, else ``opaque``."""
    for dialect in dialects.values():
        if dialect.name != "opaque" and dialect.claims(api, method, path):
            return dialect
    return dialects["opaque"]
