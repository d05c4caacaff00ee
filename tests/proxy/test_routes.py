"""Addresses → upstreams. Whatever a path holds, a request reaches a configured origin or is refused."""

from __future__ import annotations

from urllib.parse import quote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.routes import Refused, Routes
from proxy.settings import Settings

ORIGIN = "http://127.0.0.1:9"
SETTINGS = Settings.model_validate(
    {
        "upstreams": {
            "openai": {"base_url": ORIGIN},
            "search": {"kind": "tool", "base_url": f"{ORIGIN}/search"},
            "docs": {"kind": "mcp", "base_url": f"{ORIGIN}/mcp"},
            "writer": {"kind": "agent", "base_url": ORIGIN},
        }
    }
)
ROUTES = Routes(SETTINGS.upstreams)


@pytest.mark.parametrize(
    ("target", "url", "session", "stage"),
    [
        ("/openai/v1/chat/completions", f"{ORIGIN}/v1/chat/completions", "", ""),
        ("/openai/v1/models?limit=2&a=%2F", f"{ORIGIN}/v1/models?limit=2&a=%2F", "", ""),
        ("/session/s1/openai/v1/x", f"{ORIGIN}/v1/x", "s1", ""),
        ("/stage/plan/openai/v1/x", f"{ORIGIN}/v1/x", "", "plan"),
        ("/session/s%201/stage/a%2Fb/openai/v1/x", f"{ORIGIN}/v1/x", "s 1", "a/b"),
        ("/mcp/docs", f"{ORIGIN}/mcp", "", ""),
        ("/session/s/stage/t/mcp/docs", f"{ORIGIN}/mcp", "s", "t"),
        ("/tool/search/find?q=1", f"{ORIGIN}/search/find?q=1", "", ""),
        ("/agent/writer", f"{ORIGIN}/", "", ""),
        ("/agent/writer/.well-known/agent-card.json", f"{ORIGIN}/.well-known/agent-card.json", "", ""),
        (
            "/bedrock/eu-central-1/model/m/converse",
            "https://bedrock-runtime.eu-central-1.amazonaws.com/model/m/converse",
            "",
            "",
        ),
        ("/openai//v1//x", f"{ORIGIN}//v1//x", "", ""),
    ],
)
def test_addresses(target: str, url: str, session: str, stage: str) -> None:
    route = ROUTES.match(target)
    assert (route.url, route.session, route.stage) == (url, session, stage)


@pytest.mark.parametrize(
    ("target", "status", "says"),
    [
        ("/nowhere/v1/x", 404, "/openai"),
        ("/", 404, "base URL"),
        ("/tool/nothing/x", 404, "/tool/search"),
        ("/tool/openai/x", 404, "/tool/search"),
        ("/openai/../admin", 400, "path"),
        ("/openai/%2e%2E/admin", 400, "path"),
        ("/openai/v1/..", 400, "path"),
        ("/openai\\v1", 400, "path"),
        ("http://elsewhere/openai/v1", 400, "path"),
        ("*", 400, "path"),
        ("/openai/v1/\x00", 400, "path"),
        ("/session/a%0d%0ab/openai/v1", 400, "session"),
        (f"/stage/{'x' * 300}/openai/v1", 400, "stage"),
        ("/bedrock/model/x", 400, "region"),
        ("/bedrock/evil.example/model/x", 400, "region"),
    ],
)
def test_refusals(target: str, status: int, says: str) -> None:
    with pytest.raises(Refused, match=says) as caught:
        ROUTES.match(target)
    assert caught.value.fault.status == status
    if len(target) > 40:
        assert target.strip("/") not in caught.value.fault.message


@given(st.text(max_size=60), st.sampled_from(["", "/openai", "/tool/search", "/bedrock/us-east-1"]))
def test_no_path_leaves_the_configured_origins(tail: str, prefix: str) -> None:
    configured = {urlsplit(u.base_url.replace("{region}", "us-east-1")).netloc for u in SETTINGS.upstreams.values()}
    for target in (prefix + tail, prefix + "/" + tail, prefix + "/" + quote(tail), prefix + "@" + tail):
        try:
            url = ROUTES.match(target).url
        except Refused:
            continue
        parts = urlsplit(url)
        assert parts.netloc in configured
        assert ".." not in parts.path.split("/")


@given(st.text(min_size=1, max_size=80).filter(lambda text: text.isprintable() and text not in (".", "..")))
def test_session_and_stage_survive_quoting(name: str) -> None:
    route = ROUTES.match(f"/session/{quote(name, safe='')}/stage/{quote(name, safe='')}/openai/v1/x")
    assert (route.session, route.stage) == (name, name)
