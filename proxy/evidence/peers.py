"""What other gateways and tracers ask for, so that a switch to orchtax costs nothing.

Sources (November 2026): the header references of Helicone, LiteLLM, Portkey, Bifrost, TensorZero, Cloudflare AI Gateway
and AgentWeave. User ids are not read: a user has many sessions.
"""

from __future__ import annotations

from collections.abc import Iterator

from collectors.records import Source
from proxy.evidence import Rule, Tells, Told, clean
from proxy.evidence.wording import named_header, named_json, named_values, namespaced, tags

STEP = 4
_SOURCE: Source = "peer_header"


def _session_path(value: object) -> Iterator[Told]:
    """Helicone's path of a call within its session, ``/parent/child``: the last part made it, the one before asked."""
    parts = [part for part in clean(value).split("/") if part.strip()]
    if parts:
        yield Told("stage", parts[-1].strip())
    if len(parts) > 1:
        yield Told("parent", parts[-2].strip())


def _peer(name: str, tells: Tells, family: str) -> Rule:
    return Rule(name, tells, family, 0.9, _SOURCE)


HEADERS = (
    _peer("helicone-session-id", "session", "helicone"),
    _peer("helicone-session-path", _session_path, "helicone"),
    _peer("helicone-session-name", "task", "helicone"),
    _peer("helicone-property-*", named_header, "helicone"),
    _peer("x-litellm-session-id", "session", "litellm"),
    _peer("x-litellm-trace-id", "session", "litellm"),
    _peer("x-litellm-agent-id", "stage", "litellm"),
    _peer("x-litellm-tags", tags, "litellm"),
    _peer("x-portkey-trace-id", "session", "portkey"),
    _peer("x-portkey-span-name", "stage", "portkey"),
    _peer("x-portkey-span-id", namespaced("agent", "agent"), "portkey"),
    _peer("x-portkey-parent-span-id", namespaced("parent_agent", "agent"), "portkey"),
    _peer("x-portkey-metadata", named_json, "portkey"),
    _peer("x-bf-session-id", "session", "bifrost"),
    _peer("x-bf-dim-*", named_header, "bifrost"),
    _peer("agent-session-id", "session", "agent_session"),
    _peer("cf-aig-metadata", named_json, "cloudflare"),
    _peer("x-agentweave-session-id", "session", "agentweave"),
    _peer("x-agentweave-session-id", namespaced("agent", "agent"), "agentweave"),
    _peer("x-agentweave-agent-id", "stage", "agentweave"),
    _peer("x-agentweave-agent-type", "stage", "agentweave"),
    _peer("x-agentweave-parent-session-id", "parent_session", "agentweave"),
    _peer("x-agentweave-parent-session-id", namespaced("parent_agent", "agent"), "agentweave"),
    _peer("x-agentweave-task-label", "task", "agentweave"),
    _peer("x-*-session-id", "session", "vendor"),
    _peer("x-session-id", "session", "session_id"),
    _peer("x-parent-session-id", "parent_session", "session_id"),
)

BODY = (
    _peer("tensorzero::episode_id", "session", "tensorzero"),
    _peer("tensorzero::tags", named_values, "tensorzero"),
)
