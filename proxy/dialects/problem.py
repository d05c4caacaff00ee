"""Errors for formats without an error shape of their own: problem details, RFC 9457 (July 2023)."""

from __future__ import annotations

from http import HTTPStatus

import orjson

from proxy.dialects import Fault

CONTENT_TYPE = "application/problem+json"


def problem(fault: Fault) -> bytes:
    """The body. No ``type`` means ``about:blank``: the title is then the status's own phrase; ``code`` tells more."""
    known = fault.status in HTTPStatus._value2member_map_
    title = HTTPStatus(fault.status).phrase if known else "Error"
    return orjson.dumps({"title": title, "status": fault.status, "detail": fault.message, "code": fault.code})
