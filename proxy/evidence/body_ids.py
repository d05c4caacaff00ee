"""Ids that an application puts into a request's body itself. ``user`` and ``safety_identifier`` are never read: they
name a person, who has many sessions. A prompt cache key often is one conversation's, but need not be (0.6)."""

from __future__ import annotations

from proxy.evidence import Rule
from proxy.evidence.wording import named_values

STEP = 5

BODY = (
    Rule("metadata", named_values, "metadata", 0.9, "peer_header"),
    Rule("litellm_session_id", "session", "litellm", 0.9, "peer_header"),
    Rule("requestMetadata", named_values, "bedrock", 0.9, "peer_header"),
    Rule("prompt_cache_key", "session", "prompt_cache_key", 0.6, "peer_header"),
)
