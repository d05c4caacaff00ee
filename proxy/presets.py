"""The vendors' addresses, so that an operator needs no configuration for them. ``base_url`` + the agent's path below
``/{name}`` = the upstream's URL: ``/openai/v1/models`` → ``https://api.openai.com/v1/models``.

``api`` is the wire format family that dialects claim, ``provider`` the id in genai-prices, ``ask_usage`` whether the
server accepts ``stream_options.include_usage`` (Mistral answers 422 to unknown fields; it reports usage unasked).
Sources: the vendors' API references, November 2026. Azure, Vertex and self-hosted servers have no common address:
their ``base_url`` is the operator's to give. What runs on one's own machine (``ollama``, ``vllm``) has a provider id
that no price data knows: a local ``mistral:7b`` must not be booked at the vendor's price.
"""

from __future__ import annotations

from typing import Any

PRESETS: dict[str, dict[str, Any]] = {
    "openai": {"base_url": "https://api.openai.com", "api": "openai", "provider": "openai", "ask_usage": True},
    "anthropic": {"base_url": "https://api.anthropic.com", "api": "anthropic", "provider": "anthropic"},
    "gemini": {"base_url": "https://generativelanguage.googleapis.com", "api": "gemini", "provider": "google"},
    "bedrock": {"base_url": "https://bedrock-runtime.{region}.amazonaws.com", "api": "bedrock", "provider": "aws"},
    "mistral": {"base_url": "https://api.mistral.ai", "api": "openai", "provider": "mistral", "ask_usage": False},
    "groq": {"base_url": "https://api.groq.com", "api": "openai", "provider": "groq", "ask_usage": True},
    "openrouter": {"base_url": "https://openrouter.ai", "api": "openai", "provider": "openrouter", "ask_usage": True},
    "deepseek": {"base_url": "https://api.deepseek.com", "api": "openai", "provider": "deepseek", "ask_usage": True},
    "xai": {"base_url": "https://api.x.ai", "api": "openai", "provider": "x-ai", "ask_usage": True},
    "cohere": {"base_url": "https://api.cohere.com", "api": "cohere", "provider": "cohere"},
    "ollama": {"base_url": "http://127.0.0.1:11434", "api": "ollama", "provider": "ollama", "ask_usage": True},
    "vllm": {"base_url": "http://127.0.0.1:8000", "api": "openai", "provider": "vllm", "ask_usage": True},
    "together": {"base_url": "https://api.together.xyz", "api": "openai", "provider": "together", "ask_usage": True},
    "fireworks": {"base_url": "https://api.fireworks.ai", "api": "openai", "provider": "fireworks", "ask_usage": True},
    "cerebras": {"base_url": "https://api.cerebras.ai", "api": "openai", "provider": "cerebras", "ask_usage": True},
    "perplexity": {
        "base_url": "https://api.perplexity.ai",
        "api": "openai",
        "provider": "perplexity",
        "ask_usage": False,
    },
    "huggingface": {
        "base_url": "https://router.huggingface.co",
        "api": "openai",
        "provider": "huggingface_together",
        "ask_usage": True,
    },
    "voyage": {"base_url": "https://api.voyageai.com", "api": "openai", "provider": "voyageai", "ask_usage": False},
}
