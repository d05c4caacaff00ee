"""The header sets and bodies of released clients, one case a client, with what they tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from collectors.records import Source
from proxy.dialects import Json

TRACE = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{TRACE}-b7ad6b7169203331-01"
CODEX = {"originator": "codex_cli_rs", "User-Agent": "codex_cli_rs/0.130.0"}
OPENCODE = {"User-Agent": "opencode/1.15.0", "x-session-affinity": "ses_b"}


@dataclass(frozen=True)
class Case:
    name: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Json = field(default_factory=dict)
    session: tuple[str, Source, float] = ("", "none", 0.0)
    stage: tuple[str, Source, float] = ("", "none", 0.0)
    more: Mapping[str, Any] = field(default_factory=dict)
    to: str = "model"


def peer(value: str, confidence: float = 0.9) -> tuple[str, Source, float]:
    return value, "peer_header", confidence


CASES = (
    Case(
        "Claude Code",
        {"X-Claude-Code-Session-Id": "cc-1", "User-Agent": "claude-cli/2.1.251", "x-app": "cli"},
        {"metadata": {"user_id": '{"device_id":"d","account_uuid":"","session_id":"cc-1"}'}},
        peer("cc-1", 1.0),
        peer("main", 0.7),
    ),
    Case(
        "Claude Code, subagent",
        {"X-Claude-Code-Session-Id": "cc-1", "x-claude-code-agent-id": "a2", "x-claude-code-parent-agent-id": "a1"},
        session=peer("cc-1", 1.0),
        stage=peer("subagent", 0.7),
        more={"agent_id": "a2", "parent_agent_id": "a1", "parent": "a1"},
    ),
    Case(
        "Claude Code, subagent of the main thread",
        {"X-Claude-Code-Session-Id": "cc-1", "x-claude-code-agent-id": "a1"},
        session=peer("cc-1", 1.0),
        stage=peer("subagent", 0.7),
        more={"agent_id": "a1", "parent": "main"},
    ),
    Case(
        "Claude Code with hint headers",
        {
            "X-Claude-Code-Session-Id": "cc-1",
            "x-claude-code-prompt-id": "p-7",
            "x-claude-code-request-class": "subagent",
            "x-claude-code-agent-type": "Explore",
            "x-claude-code-agent-id": "a1",
        },
        session=peer("p-7", 1.0),
        stage=peer("Explore", 1.0),
        more={"parent_session_id": "cc-1", "parent": "main"},
    ),
    Case(
        "Claude Code, hints without an agent's type",
        {"X-Claude-Code-Session-Id": "cc-1", "x-claude-code-request-class": "compaction"},
        session=peer("cc-1", 1.0),
        stage=peer("compaction", 1.0),
    ),
    Case(
        "Claude Code, body only",
        body={"metadata": {"user_id": '{"device_id":"d","session_id":"cc-2"}'}},
        session=peer("cc-2", 0.95),
    ),
    Case(
        "Claude Code, body only, before 2.1",
        body={"metadata": {"user_id": "user_ab_account__session_0b5d9c4e-2f0f-4f0e-9f1a-6f5f1d2c3b4a"}},
        session=peer("0b5d9c4e-2f0f-4f0e-9f1a-6f5f1d2c3b4a", 0.95),
    ),
    Case("metadata.user_id of anybody else", body={"metadata": {"user_id": "alice"}}),
    Case(
        "Codex",
        {**CODEX, "session-id": "cx", "thread-id": "cx", "x-codex-turn-metadata": '{"session_id":"cx","turn_id":"t"}'},
        {"prompt_cache_key": "cx"},
        peer("cx", 0.95),
        peer("main", 0.7),
        {"agent_id": "cx"},
    ),
    Case(
        "Codex, spawned agent",
        {
            **CODEX,
            "session-id": "cx",
            "thread-id": "th-2",
            "x-codex-parent-thread-id": "cx",
            "x-openai-subagent": "collab_spawn",
            "x-codex-turn-metadata": '{"session_id":"cx","thread_id":"th-2","agent_name":"reviewer"}',
        },
        session=peer("cx", 0.95),
        stage=peer("reviewer", 0.95),
        more={"agent_id": "th-2", "parent_agent_id": "cx", "parent": "cx"},
    ),
    Case(
        "Codex, review without a name",
        {**CODEX, "session-id": "cx", "thread-id": "th-3", "x-openai-subagent": "review"},
        session=peer("cx", 0.95),
        stage=peer("review", 0.95),
    ),
    Case(
        "Codex over WebSocket: the body tells",
        body={
            "client_metadata": {
                "session_id": "cx",
                "thread_id": "th-2",
                "x-codex-parent-thread-id": "cx",
                "x-openai-subagent": "review",
                "x-codex-turn-metadata": '{"session_id":"cx","agent_name":"critic"}',
            }
        },
        session=peer("cx", 0.95),
        stage=peer("critic", 0.95),
        more={"agent_id": "th-2", "parent": "cx"},
    ),
    Case("session-id and thread-id of anybody else", {"session-id": "s", "thread-id": "t", "User-Agent": "curl/8"}),
    Case("opencode", {**OPENCODE, "X-Session-Id": "ses_a"}, {}, peer("ses_a", 0.95), peer("main", 0.7)),
    Case(
        "opencode, subagent",
        {**OPENCODE, "X-Session-Id": "ses_b", "x-parent-session-id": "ses_a"},
        session=peer("ses_b", 0.95),
        stage=peer("subagent", 0.7),
        more={"parent_session_id": "ses_a", "parent": "ses_a", "parent_agent_id": "ses_a"},
    ),
    Case(
        "Helicone",
        {
            "Helicone-Session-Id": "h",
            "Helicone-Session-Path": "/outline/draft",
            "Helicone-Session-Name": "Course plan",
            "Helicone-User-Id": "alice",
        },
        session=peer("h"),
        stage=peer("draft"),
        more={"parent": "outline", "task": "Course plan", "tenant": ""},
    ),
    Case(
        "Helicone, properties",
        {"Helicone-Property-Session": "h", "Helicone-Property-Stage": "draft", "Helicone-Property-Colour": "red"},
        session=peer("h"),
        stage=peer("draft"),
    ),
    Case(
        "LiteLLM",
        {"x-litellm-session-id": "l", "x-litellm-trace-id": "other", "x-litellm-agent-id": "router"},
        session=peer("l"),
        stage=peer("router"),
    ),
    Case(
        "LiteLLM, trace and tags",
        {"x-litellm-trace-id": "l", "x-litellm-tags": "prod, agent:router ,task:t1"},
        session=peer("l"),
        stage=peer("router"),
        more={"task": "t1"},
    ),
    Case("LiteLLM, body", body={"litellm_session_id": "l"}, session=peer("l")),
    Case(
        "Portkey",
        {
            "x-portkey-trace-id": "p",
            "x-portkey-span-id": "s2",
            "x-portkey-parent-span-id": "s1",
            "x-portkey-span-name": "plan",
            "x-portkey-metadata": '{"_user":"alice","tenant":"acme"}',
        },
        session=peer("p"),
        stage=peer("plan"),
        more={"agent_id": "s2", "parent_agent_id": "s1", "parent": "s1", "tenant": "acme"},
    ),
    Case(
        "Bifrost",
        {"x-bf-session-id": "b", "x-bf-dim-stage": "plan", "x-bf-dim-tenant": "acme", "x-bf-vk": "key"},
        session=peer("b"),
        stage=peer("plan"),
        more={"tenant": "acme"},
    ),
    Case(
        "TensorZero",
        body={"tensorzero::episode_id": "e", "tensorzero::tags": {"agent": "judge", "task_id": "t1"}},
        session=peer("e"),
        stage=peer("judge"),
        more={"task": "t1"},
    ),
    Case("agent-session-id", {"agent-session-id": "a"}, session=peer("a")),
    Case(
        "Cloudflare AI Gateway",
        {"cf-aig-metadata": '{"session_id":"c","stage":"plan","n":5}'},
        session=peer("c"),
        stage=peer("plan"),
    ),
    Case(
        "AgentWeave",
        {
            "X-AgentWeave-Session-Id": "w2",
            "X-AgentWeave-Parent-Session-Id": "w1",
            "X-AgentWeave-Agent-Id": "nix",
            "X-AgentWeave-Agent-Type": "subagent",
            "X-AgentWeave-Task-Label": "fix it",
        },
        session=peer("w2"),
        stage=peer("nix"),
        more={"parent_session_id": "w1", "parent": "w1", "task": "fix it"},
    ),
    Case(
        "AgentWeave, parent within its own session",
        {"X-AgentWeave-Session-Id": "w1", "X-AgentWeave-Parent-Session-Id": "w1", "X-AgentWeave-Agent-Type": "main"},
        session=peer("w1"),
        stage=peer("main"),
        more={"parent_session_id": ""},
    ),
    Case("any vendor's session header", {"x-acme-runtime-session-id": "v"}, session=peer("v")),
    Case("a vendor's parent header is no session", {"x-acme-parent-session-id": "v"}),
    Case("x-session-id", {"X-Session-ID": "x"}, session=peer("x")),
    Case("metadata.session_id", body={"metadata": {"session_id": "m", "thread_id": "n"}}, session=peer("m")),
    Case("metadata.thread_id", body={"metadata": {"conversation_id": "o", "thread_id": "n"}}, session=peer("n")),
    Case("metadata.conversation_id", body={"metadata": {"conversation_id": "o"}}, session=peer("o")),
    Case(
        "Bedrock requestMetadata",
        body={"requestMetadata": {"session_id": "r", "stage": "plan"}},
        session=peer("r"),
        stage=peer("plan"),
    ),
    Case("prompt_cache_key", body={"prompt_cache_key": "k"}, session=peer("k", 0.6)),
    Case("a person is no session", body={"user": "u", "safety_identifier": "i"}),
    Case("a tool's arguments are its own", body={"metadata": {"session_id": "m"}, "prompt_cache_key": "k"}, to="tool"),
    Case(
        "baggage",
        {"baggage": "a=b,session.id=s%20one;p=1,gen_ai.agent.name=critic"},
        session=("s one", "baggage", 0.9),
        stage=("critic", "baggage", 0.9),
    ),
    Case("baggage, conversation", {"baggage": "gen_ai.conversation.id=c,userId=u"}, session=("c", "baggage", 0.9)),
    Case("Langfuse", {"baggage": "langfuse_session_id=l"}, session=("l", "baggage", 0.9)),
    Case(
        "MCP _meta",
        body={"method": "tools/call", "params": {"_meta": {"baggage": "session.id=s", "traceparent": TRACEPARENT}}},
        session=("s", "baggage", 0.9),
        more={"trace_id": TRACE},
        to="mcp",
    ),
    Case(
        "MCP batch",
        body={"batch": [{"method": "ping"}, {"params": {"_meta": {"baggage": "session.id=s"}}}]},
        session=("s", "baggage", 0.9),
        to="mcp",
    ),
    Case(
        "a trace alone is no session",
        {"traceparent": TRACEPARENT},
        more={"trace_id": TRACE, "parent_span_id": "b7ad6b7169203331"},
    ),
    Case("ids that nobody gave out", body={"previous_response_id": "resp_1", "conversation": {"id": "conv_1"}}),
)
