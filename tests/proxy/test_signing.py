"""Signature V4 against botocore's own signer, and against the signatures that AWS publishes."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import botocore.auth
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.signing import UNSIGNED, Keys, Scope, Unsigned, body_hash, sign

# AWS's signature test suite signs with these: AWS IAM user guide, "Signature Version 4 test suite".
SUITE = Keys("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
SUITE_NOW = datetime(2015, 8, 30, 12, 36, tzinfo=UTC)
FORM = ("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
JSON = ("Content-Type", "application/json")
HOST = "https://bedrock-runtime.us-east-1.amazonaws.com"
TEMPORARY = Keys("ASIAEXAMPLE", "secret/with+signs", "token==")
PROFILE = "arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Aapplication-inference-profile%2Fotnfa2ysixqd"


@pytest.mark.parametrize(
    ("method", "url", "headers", "service", "signature"),
    [
        (
            "GET",
            "https://example.amazonaws.com/",
            [],
            "service",
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
        ),
        (
            "POST",
            "https://example.amazonaws.com/",
            [],
            "service",
            "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
        ),
        (
            "GET",
            "https://example.amazonaws.com/?Param2=value2&Param1=value1",
            [],
            "service",
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        ),
        (
            "GET",
            "https://iam.amazonaws.com/?Action=ListUsers&Version=2010-05-08",
            [FORM],
            "iam",
            "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7",
        ),
    ],
    ids=["get-vanilla", "post-vanilla", "get-vanilla-query-order-key-case", "ListUsers"],
)
def test_signatures_are_those_that_aws_publishes(
    method: str, url: str, headers: list[tuple[str, str]], service: str, signature: str
) -> None:
    added = sign(Unsigned(method, url, headers, body_hash(b"")), SUITE, Scope("us-east-1", service), SUITE_NOW)
    names = ";".join(sorted(["host", "x-amz-date", *(name.lower() for name, _ in headers)]))
    assert added["X-Amz-Date"] == "20150830T123600Z"
    assert added["Authorization"] == (
        f"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/{service}/aws4_request, "
        f"SignedHeaders={names}, Signature={signature}"
    )


def by_botocore(request: AWSRequest, keys: Keys, scope: Scope, stamp: str) -> str:
    """The signature of botocore over the same headers, at the time of ours."""
    signer = SigV4Auth(
        Credentials(keys.access_key_id, keys.secret_access_key, keys.session_token or None), scope.service, scope.region
    )
    request.context["timestamp"] = stamp
    return str(signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request))


def compare(
    method: str, url: str, headers: list[tuple[str, str]], body: bytes | None, keys: Keys = TEMPORARY
) -> dict[str, str]:
    """Signs as ours, and has botocore sign what we sent."""
    scope = Scope("eu-west-3", "bedrock")
    digest = UNSIGNED if body is None else body_hash(body)
    added = sign(Unsigned(method, url, headers, digest), keys, scope, datetime.now(UTC))
    sent = AWSRequest(method, url, data=body or b"")
    for name, value in [*headers, *added.items()]:
        if name.lower() in added_names(added):
            sent.headers[name] = value
    expected = by_botocore(sent, keys, scope, added["X-Amz-Date"])
    assert added["Authorization"].endswith(f"Signature={expected}")
    return added


def added_names(added: dict[str, str]) -> list[str]:
    """The names that a signature covers, but for the host, which botocore takes from the URL."""
    match = re.search(r"SignedHeaders=([^,]+),", added["Authorization"])
    assert match is not None
    return [name for name in match[1].split(";") if name != "host"]


@pytest.mark.parametrize(
    "url",
    [
        f"{HOST}/model/anthropic.claude-v2/converse",
        f"{HOST}/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse-stream",
        f"{HOST}/model/us.anthropic.claude-sonnet-4-5-20250929-v1:0/invoke",
        f"{HOST}/model/{PROFILE}/invoke-with-response-stream",
        f"{HOST}/model/arn:aws:bedrock:us-east-1:1:custom-model/x/converse",
        f"{HOST}/async-invoke?statusEquals=Completed&maxResults=5&sortBy=SubmissionTime&nextToken=a%2Fb%3D",
        f"{HOST}/async-invoke?b=2&a=2&a=1&empty=&bare",
        f"{HOST}//model///x/",
        f"{HOST}/a%20b/~c/(d)/%E4%B8%96",
        f"{HOST}/",
        HOST,
        "https://bedrock.test:8443/model/x/converse",
        "https://bedrock.test:443/model/x/converse",
        "http://127.0.0.1:80/model/x/converse",
        "http://127.0.0.1:8400/model/x/converse",
        "http://[::1]:8400/model/x/converse",
    ],
)
@pytest.mark.parametrize("body", [b"", b'{"messages": []}'])
def test_every_path_signs_as_with_botocore(url: str, body: bytes) -> None:
    compare("POST", url, [JSON], body)
    compare("GET", url, [], b"", SUITE)


def test_a_body_sent_as_it_arrives_is_signed_unsigned() -> None:
    added = compare("POST", f"{HOST}/model/x/invoke", [JSON], None)
    assert added["X-Amz-Content-SHA256"] == UNSIGNED
    assert "x-amz-content-sha256" in added_names(added)


def test_aws_s_own_headers_are_signed_and_others_are_not() -> None:
    headers = [
        JSON,
        ("X-Amzn-Bedrock-Trace", "ENABLED"),
        ("x-amzn-bedrock-guardrailidentifier", "  a   b "),
        ("X-Amzn-Trace-Id", "Root=1"),
        ("User-Agent", "agent/1"),
        ("amz-sdk-request", "attempt=1"),
        ("traceparent", "00-1-2-01"),
    ]
    assert added_names(compare("POST", f"{HOST}/model/x/invoke", headers, b"{}")) == [
        "content-type",
        "x-amz-date",
        "x-amz-security-token",
        "x-amzn-bedrock-guardrailidentifier",
        "x-amzn-bedrock-trace",
    ]


segments = st.text(st.sampled_from("ab.:~%-_/ (@é世+"), max_size=20)


@given(segments, st.dictionaries(segments, segments, max_size=3), st.binary(max_size=40))
@settings(max_examples=80, deadline=None)
def test_any_path_query_and_body_sign_as_with_botocore(path: str, query: dict[str, str], body: bytes) -> None:
    quote = botocore.auth.quote
    url = f"{HOST}/{quote(path, safe='/:')}"
    if query:
        url += "?" + "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in query.items())
    compare("POST", url, [JSON], body)


def test_secrets_do_not_show() -> None:
    assert TEMPORARY.secret_access_key not in repr(TEMPORARY)
    assert TEMPORARY.session_token not in repr(TEMPORARY)
