"""Amazon Bedrock's runtime: Converse and InvokeModel, whole and streamed.

Source: Amazon Bedrock API reference, "Amazon Bedrock Runtime" (November 2026). The model stands in the URL alone
(``bedrock_model.py``); content is read in ``bedrock_content.py``, answers in ``bedrock_answer.py``. The other
operations under ``/model/`` (token counting) are no model calls. Calls are signed anew in ``proxy/signers.py``.
"""

from __future__ import annotations

import orjson

from proxy.dialects import Described, Dialect, Fault, Meter, Prompt, RequestHead, StreamFilter
from proxy.dialects.bedrock_answer import StreamMeter, WholeMeter
from proxy.dialects.bedrock_content import prompt_of
from proxy.dialects.bedrock_model import split_path
from proxy.dialects.fields import Json, count, hash_object, parse_object, table

_CALLS = {
    "converse": False,
    "converse-stream": True,
    "invoke": False,
    "invoke-with-response-stream": True,
}
# Where each vendor's body says how long the answer may become.
_LIMITS = (
    ("inferenceConfig", "maxTokens"),
    ("inferenceConfig", "max_new_tokens"),
    ("textGenerationConfig", "maxTokenCount"),
)
_FLAT_LIMITS = ("max_tokens", "max_completion_tokens", "max_gen_len")
_ERRORS = {
    401: "UnrecognizedClientException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    408: "ModelTimeoutException",
    424: "ModelErrorException",
    429: "ThrottlingException",
    503: "ServiceUnavailableException",
}


class Bedrock:
    """Claimed by family and path; ``/openai/v1/chat/completions`` on the same host is a chat completion."""

    name = "bedrock"

    def claims(self, api: str, method: str, path: str) -> bool:
        return api == "bedrock" and method == "POST" and "/model/" in path

    def describe(self, head: RequestHead, body: bytes | None, ask_usage: bool) -> Described:
        """A body that cannot be read hides the content and nothing else, as the URL tells the rest."""
        model, operation = split_path(head.path)
        parsed = _parsed(body)
        if operation not in _CALLS:
            return Described("other", operation=operation, model=model or None, parsed=parsed)
        is_embedding = "embed" in model or _embeds(parsed or {})
        return Described(
            "model",
            operation="embeddings" if is_embedding else "chat",
            model=model or None,
            streamed=_CALLS[operation],
            max_output_tokens=_limit(parsed or {}),
            body_hash=hash_object({**parsed, "modelId": model}) if parsed is not None else "",
            parsed=parsed,
        )

    def prompt(self, described: Described) -> Prompt:
        return prompt_of(described.parsed or {})

    def meter(self, described: Described, status: int, content_type: str) -> Meter:
        kind = content_type.lower()
        if "amazon.eventstream" in kind or (described.streamed and status == 200 and "json" not in kind):
            return StreamMeter(described.model)
        return WholeMeter(described.model, described.operation == "embeddings", status >= 400)

    def stream_filter(self, described: Described) -> StreamFilter | None:
        return None

    def error_body(self, fault: Fault, described: Described | None) -> tuple[str, bytes]:
        """AWS's JSON form: SDKs take the exception's name from ``x-amzn-errortype`` or, as here, from ``__type``."""
        default = "InternalServerException" if fault.status >= 500 else "ValidationException"
        name = _ERRORS.get(fault.status, default)
        return "application/json", orjson.dumps({"__type": name, "message": fault.message, "reason": fault.code})


def _parsed(body: bytes | None) -> Json | None:
    try:
        return parse_object(body) if body else None
    except ValueError:
        return None


def _embeds(body: Json) -> bool:
    """An embedding, told by its body where a profile's ARN hides the model."""
    return "singleEmbeddingParams" in body or ("inputText" in body and "normalize" in body) or "input_type" in body


def _limit(body: Json) -> int | None:
    said = [table(body.get(group)).get(name) for group, name in _LIMITS] + [body.get(name) for name in _FLAT_LIMITS]
    return next((limit for limit in map(count, said) if limit is not None), None)


DIALECT: Dialect = Bedrock()
