"""Watching Bedrock's answers: one JSON text, or an event stream whose messages are Converse's events or, of
InvokeModel, ``chunk`` messages with a vendor's JSON in base64.

Source: Amazon Bedrock API reference, "ConverseStream", "InvokeModelWithResponseStream" (November 2026). Bedrock also
tells InvokeModel's usage, service tier and every error's name in headers, so these meters take the headers.
"""

from __future__ import annotations

import binascii
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import orjson

from collectors.records import Usage
from proxy.dialects import Observation
from proxy.dialects.bedrock_converse import ConverseAnswer
from proxy.dialects.bedrock_model import priced_name
from proxy.dialects.bedrock_usage import best, read_headers, tier_in
from proxy.dialects.bedrock_vendors import VendorAnswer
from proxy.dialects.eventstream import Message, Messages
from proxy.dialects.fields import Body, label, table


class _Head:
    """What the headers told, and what is known of the call: put together with what the body told."""

    def __init__(self, model: str | None, is_embedding: bool) -> None:
        self._model = model
        self._is_embedding = is_embedding
        self._usage: Usage | None = None
        self._tier: str | None = None
        self._id = self.error = ""

    def take_headers(self, headers: Mapping[str, str]) -> None:
        self._usage = read_headers(headers)
        self._tier = tier_in(headers)
        self._id = label(headers.get("x-amzn-requestid"))
        self.error = label(headers.get("x-amzn-errortype", "").partition(":")[0])[:64]

    def complete(self, seen: Observation) -> Observation:
        """The whole: usage by rank (body, then headers), the model that prices it, the id to ask AWS about."""
        usage = best([seen.usage, self._usage])
        if usage is not None and self._is_embedding and usage.output_tokens is None:
            usage = replace(usage, output_tokens=0)
        if usage is not None and self._tier:
            usage = replace(usage, service_tier=self._tier)
        # A vendor's own name lacks the geography that the price depends on, so it counts only where the request's is a
        # profile of the operator's own.
        model = priced_name(seen.model or "") if (self._model or "").startswith("arn:") else ""
        return replace(seen, usage=usage, model=model or None, response_id=seen.response_id or self._id)


class WholeMeter:
    """An answer that is one JSON text."""

    def __init__(self, model: str | None, is_embedding: bool, is_error: bool) -> None:
        self._body = Body()
        self._head = _Head(model, is_embedding)
        self._is_error = is_error

    def take_headers(self, headers: Mapping[str, str]) -> None:
        self._head.take_headers(headers)

    def feed(self, chunk: bytes) -> None:
        self._body.feed(chunk)

    def finish(self) -> Observation:
        value = self._body.parse()
        is_complete = value is not None or self._body.is_too_long
        if self._is_error:
            return Observation(error=self._head.error or error_name(value), is_complete=is_complete)
        answer = VendorAnswer()
        answer.take(value)
        return self._head.complete(replace(answer.observe(), is_complete=is_complete))


class StreamMeter:
    """An answer that is an event stream. Its two kinds never mix."""

    def __init__(self, model: str | None) -> None:
        self._messages = Messages()
        self._head = _Head(model, False)
        self._converse = ConverseAnswer()
        self._vendor: VendorAnswer | None = None
        self._error = ""

    def take_headers(self, headers: Mapping[str, str]) -> None:
        self._head.take_headers(headers)

    def feed(self, chunk: bytes) -> None:
        for message in self._messages.feed(chunk):
            self._take(message)

    def finish(self) -> Observation:
        seen = self._vendor.observe() if self._vendor else self._converse.observe(self._converse.is_done)
        is_complete = seen.is_complete and not self._error
        return self._head.complete(replace(seen, error=self._error or seen.error, is_complete=is_complete))

    def _take(self, message: Message) -> None:
        if message.kind != "event":
            self._error = label(message.name)[:64] or "error"
        elif message.name == "chunk":
            self._vendor = self._vendor or VendorAnswer()
            self._vendor.take(_inner(_parsed(message.payload)))
        else:
            self._converse.take_event(message.name, _parsed(message.payload))


def error_name(value: Any) -> str:
    """The exception's name in an error's body, as AWS writes it: ``prefix#Name`` or ``Name:detail``."""
    body = table(value)
    name = label(body.get("__type") or body.get("code"))
    return name.partition(":")[0].rpartition("#")[2][:64] or "error"


def _parsed(payload: bytes) -> Any:
    try:
        return orjson.loads(payload)
    except ValueError:
        return None  # what is not JSON tells nothing; the messages around it do


def _inner(value: Any) -> Any:
    """The vendor's JSON within a ``chunk``."""
    encoded = table(value).get("bytes")
    if not isinstance(encoded, str):
        return None
    try:
        return _parsed(binascii.a2b_base64(encoded))
    except (binascii.Error, ValueError):
        return None
