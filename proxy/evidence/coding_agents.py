"""Agents that name themselves: Claude Code, Codex, opencode.

Sources (November 2026): code.claude.com/docs/en/llm-gateway-protocol; headers and metadata as released clients send
them. A client that tells its agents apart, but gives them no name, has the stages ``main`` and ``subagent`` (0.7).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from collectors.records import Source
from proxy.evidence import Rule, Tells, Told, clean
from proxy.evidence.wording import fields, fixed, json_object, namespaced

STEP = 3
_SOURCE: Source = "peer_header"
_UNNAMED = 0.7
_OLD_USER_ID = re.compile(r"user_.*_session_([0-9a-fA-F-]{36})")
_codex_fields = fields(session_id="session", agent_name="stage")


def _claude_user_id(value: object) -> Iterable[Told]:
    """``metadata.user_id``: a JSON *string* with ``session_id``; before 2.1 ``user_…_account_…_session_{uuid}``. Any
    other user id is the caller's own business."""
    user_id = value.get("user_id") if isinstance(value, dict) else None
    if not isinstance(user_id, str):
        return ()
    if user_id.lstrip().startswith("{"):
        return (Told("session", clean(json_object(user_id).get("session_id", ""))),)
    found = _OLD_USER_ID.fullmatch(user_id)
    return (Told("session", found[1]),) if found else ()


def _codex_turn(value: object) -> Iterator[Told]:
    """``x-codex-turn-metadata``, also inside a body's ``client_metadata``."""
    yield from _codex_ids(json_object(value))


def _codex_client(value: object) -> Iterator[Told]:
    """``client_metadata`` of a Responses body: the one place over WebSocket where each request names its own."""
    if not isinstance(value, dict):
        raise ValueError("no object")
    yield from _codex_ids(value)
    if turn := value.get("x-codex-turn-metadata"):
        yield from _codex_turn(turn)
    if parent := value.get("x-codex-parent-thread-id"):
        yield from namespaced("parent_agent", "agent")(parent)
    if stage := value.get("x-openai-subagent"):
        yield Told("stage", clean(stage))


def _codex_ids(value: dict[str, object]) -> Iterator[Told]:
    yield from _codex_fields(value)
    if thread := value.get("thread_id"):
        yield from namespaced("agent", "agent")(thread)
    if parent := value.get("parent_thread_id"):
        yield from namespaced("parent_agent", "agent")(parent)


def _claude(name: str, tells: Tells, confidence: float = 1.0) -> Rule:
    return Rule(f"x-claude-code-{name}", tells, "claude_code", confidence, _SOURCE)


def _codex(name: str, tells: Tells, confidence: float = 0.95, only: str = "") -> Rule:
    return Rule(name, tells, "codex", confidence, _SOURCE, only)


def _opencode(name: str, tells: Tells, confidence: float = 0.95) -> Rule:
    return Rule(name, tells, "opencode", confidence, _SOURCE, "opencode")


HEADERS = (
    _claude("prompt-id", "session"),  # one user task
    _claude("session-id", "session"),
    _claude("session-id", "parent_session"),  # where a task of it is the session
    _claude("agent-type", "stage"),
    _claude("request-class", "stage"),
    _claude("agent-id", namespaced("agent", "agent")),
    _claude("parent-agent-id", namespaced("parent_agent", "agent")),
    _claude("agent-id", fixed("stage", "subagent"), _UNNAMED),
    _claude("agent-id", fixed("parent", "main"), _UNNAMED),
    _claude("session-id", fixed("stage", "main"), _UNNAMED),
    _codex("x-codex-turn-metadata", _codex_turn),
    _codex("session-id", "session", only="codex"),
    _codex("thread-id", namespaced("agent", "agent"), only="codex"),
    _codex("thread-id", "session", only="codex"),
    _codex("x-openai-subagent", "stage"),
    _codex("x-codex-parent-thread-id", namespaced("parent_agent", "agent")),
    _codex("x-codex-parent-thread-id", fixed("stage", "subagent"), _UNNAMED),
    _codex("session-id", fixed("stage", "main"), _UNNAMED, only="codex"),
    _opencode("x-session-id", "session"),
    _opencode("x-session-id", namespaced("agent", "agent")),
    _opencode("x-parent-session-id", "parent_session"),
    _opencode("x-parent-session-id", namespaced("parent_agent", "agent")),
    _opencode("x-parent-session-id", fixed("stage", "subagent"), _UNNAMED),
    _opencode("x-session-id", fixed("stage", "main"), _UNNAMED),
)

BODY = (
    Rule("metadata", _claude_user_id, "claude_code", 0.95, _SOURCE),
    _codex("client_metadata", _codex_client),
)
