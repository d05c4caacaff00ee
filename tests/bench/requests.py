"""The requests that the load generator sends: a chat of about 2 KB as an SDK sends it, its content new every time."""

from __future__ import annotations

import orjson

_CALLS_A_SESSION = 12
_STAGES = ("router", "specialist", "validator")
_MARK = "#" * 12
_SYSTEM = "You are a careful analyst. Answer from the documents you are given, name sources and say what is missing. "
_USER = f"Case {_MARK}: compare the quarterly figures of the northern region with the plan and explain what deviates. "
_ANSWER = f"Case {_MARK}: I looked at revenue, cost of goods and head count first, as they were asked for last time. "


class Requests:
    """Gives one request after the other. All have the same length, so only the marks are rewritten."""

    def __init__(self, host: str, streamed: bool) -> None:
        body = _body(streamed)
        self._head = _head(host, len(body))
        self._parts = body.split(_MARK.encode())
        self._number = 0

    def next(self) -> bytes:
        """One whole request: a new session every dozen calls, its stages in turn."""
        self._number += 1
        number = self._number
        mark = b"%012d" % number
        head = self._head % (number // _CALLS_A_SESSION, _STAGES[number % len(_STAGES)].encode())
        return head + mark.join(self._parts)

    def start_at(self, number: int) -> None:
        """Go on behind what an earlier round sent, so that nothing is sent twice."""
        self._number = number

    @property
    def number(self) -> int:
        return self._number


def _body(streamed: bool) -> bytes:
    messages = [
        {"role": "system", "content": _SYSTEM * 5},
        {"role": "user", "content": _USER * 4},
        {"role": "assistant", "content": _ANSWER * 4},
        {"role": "user", "content": _USER * 2},
    ]
    asked = {"model": "gpt-4o-mini", "messages": messages, "temperature": 0.2, "max_completion_tokens": 800}
    if streamed:
        asked |= {"stream": True, "stream_options": {"include_usage": True}}
    return orjson.dumps(asked)


def _head(host: str, length: int) -> bytes:
    """The headers of the openai SDK; ``%d`` and ``%b`` stand for session and stage."""
    lines = [
        "POST /openai/v1/chat/completions HTTP/1.1",
        f"Host: {host}",
        "Accept: application/json",
        "Accept-Encoding: gzip, deflate",
        "Content-Type: application/json",
        "User-Agent: OpenAI/Python 3.52.0",
        "Authorization: Bearer bench-key",
        "X-Stainless-Lang: python",
        "X-Stainless-OS: Linux",
        "X-Stainless-Runtime: CPython",
        "x-stainless-retry-count: 0",
        "x-stainless-read-timeout: 600",
        "X-Orchtax-Session: bench-%d",
        "X-Orchtax-Stage: %b",
        f"Content-Length: {length}",
    ]
    return "\r\n".join([*lines, "", ""]).encode()
