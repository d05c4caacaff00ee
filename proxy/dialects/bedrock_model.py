"""Bedrock's model ids, which stand in the URL alone, percent-encoded.

An id is a model's (``anthropic.claude-…-v1:0``), an inference profile's with its geography in front (``us.``, ``eu.``,
``apac.``, ``global.``: the price depends on it), or the ARN of either, of a router, of a custom or provisioned model.
Source: Amazon Bedrock user guide, "Supported foundation models", "Inference profiles" (November 2026).
"""

from __future__ import annotations

from urllib.parse import unquote

from proxy.dialects.fields import label

_NAMED = frozenset({"foundation-model", "inference-profile"})  # of whose ARNs the last part is the id itself
_MODEL = "/model/"


def split_path(path: str) -> tuple[str, str]:
    """``(model id, operation)`` of ``/model/{id}/{operation}``; an id may hold bare slashes, for some clients encode
    none."""
    model, _, operation = path.partition(_MODEL)[2].rpartition("/")
    return priced_name(unquote(model)), operation


def priced_name(model: str) -> str:
    """The name that price data knows: of an ARN that names a model or a shared profile, the part that names it. Other
    ARNs stay whole: what is behind them only their owner knows, who may price them by it."""
    if not model.startswith("arn:"):
        return label(model)
    kind, _, name = model.split(":", 5)[-1].partition("/")
    return label(name if kind in _NAMED and name else model)
