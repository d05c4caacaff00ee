"""Which calls are signed anew, with what, and what is told when they cannot be."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime

import pytest
from multidict import CIMultiDict

from proxy.routes import Refused, Routes
from proxy.settings import Settings
from proxy.signers import Signer, Signers
from proxy.signing import UNSIGNED, Keys, Scope, Unsigned, body_hash, sign

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
PATH = "/bedrock/us-west-2/model/us.amazon.nova-micro-v1%3A0/converse"
OWN = {"access_key_id": "OWN", "secret_access_key": "secret"}
STALE = (
    "AWS4-HMAC-SHA256 Credential=AGENT/20261121/ap-south-1/bedrock/aws4_request, "
    "SignedHeaders=content-type;host;x-amz-date, Signature=abc"
)
JSON = ("Content-Type", "application/json")
AGENTS = [JSON, ("Authorization", STALE), ("X-Amz-Date", "20200101T000000Z"), ("X-Amz-Security-Token", "old")]


def signed(
    target: str,
    headers: list[tuple[str, str]],
    body: object = b"{}",
    bedrock: Mapping[str, object] | None = None,
    environment: Mapping[str, str] | None = None,
) -> CIMultiDict[str]:
    """The headers after signing, at :data:`NOW`."""
    upstreams = Settings.model_validate({"upstreams": {"bedrock": bedrock or {"aws": OWN}}}).upstreams
    route = Routes(upstreams).match(target)
    found = CIMultiDict(headers)
    Signer(upstreams["bedrock"], environment or {}, lambda: NOW).sign(route, "POST", found, body)
    return found


def expected(
    url: str, region: str, digest: str = body_hash(b"{}"), more: tuple[tuple[str, str], ...] = ()
) -> dict[str, str]:
    request = Unsigned("POST", url, [JSON, *more], digest)
    return {"Content-Type": JSON[1], **sign(request, Keys("OWN", "secret"), Scope(region, "bedrock"), NOW)}


URL = "https://bedrock-runtime.us-west-2.amazonaws.com/model/us.amazon.nova-micro-v1%3A0/converse"


def test_a_signed_call_is_signed_anew_for_the_region_of_its_path() -> None:
    assert dict(signed(PATH, AGENTS)) == expected(URL, "us-west-2")


def test_a_call_without_a_signature_is_signed_too() -> None:
    assert dict(signed(PATH, [JSON])) == expected(URL, "us-west-2")


def test_an_empty_body_has_its_own_hash() -> None:
    assert dict(signed(PATH, AGENTS, body=b"")) == expected(URL, "us-west-2", body_hash(b""))


async def arriving() -> AsyncIterator[bytes]:
    yield b"{}"


def test_a_body_sent_as_it_arrives_keeps_the_agent_s_hash() -> None:
    told = ("X-Amz-Content-SHA256", body_hash(b"{}"))
    assert dict(signed(PATH, [*AGENTS, told], body=arriving())) == {
        **expected(URL, "us-west-2", told[1], (told,)),
        told[0]: told[1],
    }
    assert told[0] not in signed(PATH, [*AGENTS, told])


def test_a_body_sent_as_it_arrives_without_a_hash_is_refused_for_bedrock_and_unsigned_elsewhere() -> None:
    with pytest.raises(Refused, match=r"limits\.max_read_bytes") as caught:
        signed(PATH, AGENTS, body=arriving())
    assert caught.value.fault.status == 413
    found = signed(PATH, AGENTS, body=arriving(), bedrock={"aws": {**OWN, "service": "s3"}})
    assert found["X-Amz-Content-SHA256"] == UNSIGNED
    assert "SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date," in found["Authorization"]


@pytest.mark.parametrize("with_keys", [True, False])
@pytest.mark.parametrize("value", ["Bearer bedrock-api-key-x", "Basic abc"])
def test_what_is_no_signature_passes_unchanged(with_keys: bool, value: str) -> None:
    headers = [JSON, ("authorization", value), ("X-Amz-Date", "kept")]
    assert list(signed(PATH, headers, bedrock={"aws": OWN if with_keys else {}}).items()) == headers


def test_without_keys_a_signed_call_is_refused_with_what_to_set() -> None:
    with pytest.raises(Refused) as caught:
        signed(PATH, AGENTS, bedrock={"aws": {}})
    fault = caught.value.fault
    assert (fault.status, fault.code) == (401, "aws_credentials_missing")
    for word in ("upstreams.bedrock.aws", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "Bearer", "boto3"):
        assert word in fault.message
    assert dict(signed(PATH, [JSON], bedrock={"aws": {}})) == {"Content-Type": JSON[1]}


@pytest.mark.parametrize(
    ("bedrock", "environment", "region"),
    [
        ({"base_url": "http://127.0.0.1:9", "aws": {**OWN, "region": "eu-north-1"}}, {"AWS_REGION": "x"}, "eu-north-1"),
        ({"base_url": "https://bedrock-runtime-fips.us-gov-west-1.amazonaws.com", "aws": OWN}, {}, "us-gov-west-1"),
        ({"base_url": "https://vpce-1.bedrock-runtime.eu-west-3.vpce.amazonaws.com", "aws": OWN}, {}, "eu-west-3"),
        ({"base_url": "http://127.0.0.1:9", "aws": OWN}, {"AWS_REGION": "us-east-2"}, "ap-south-1"),
    ],
    ids=["settings", "host", "endpoint", "agent's signature"],
)
def test_the_region_without_one_in_the_path(
    bedrock: dict[str, object], environment: dict[str, str], region: str
) -> None:
    assert dict(signed("/bedrock/model/m/converse", AGENTS, bedrock=bedrock, environment=environment)) == expected(
        f"{bedrock['base_url']}/model/m/converse", region
    )


def test_the_region_of_the_environment_comes_last_and_none_is_refused() -> None:
    bedrock = {"base_url": "http://127.0.0.1:9", "aws": OWN}
    found = signed("/bedrock/model/m/converse", [JSON], bedrock=bedrock, environment={"AWS_REGION": "us-east-2"})
    assert dict(found) == expected("http://127.0.0.1:9/model/m/converse", "us-east-2")
    with pytest.raises(Refused, match=r"upstreams\.bedrock\.aws\.region"):
        signed("/bedrock/model/m/converse", [JSON], bedrock=bedrock)


def test_other_upstreams_are_left_alone_but_for_those_with_keys() -> None:
    own = {"base_url": "https://sagemaker.us-east-1.amazonaws.com", "aws": {**OWN, "service": "sagemaker"}}
    upstreams = Settings.model_validate({"upstreams": {"own": own}}).upstreams
    signers = Signers(upstreams, {"AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "b"})
    plain = CIMultiDict([JSON, ("Authorization", "AWS4-HMAC-SHA256 x")])
    signers.sign(Routes(upstreams).match("/openai/v1/x"), "POST", plain, b"")
    assert list(plain.items()) == [JSON, ("Authorization", "AWS4-HMAC-SHA256 x")]
    for target, scope in (("/own/x", "/us-east-1/sagemaker/"), (PATH, "/us-west-2/bedrock/")):
        headers = CIMultiDict([JSON])
        signers.sign(Routes(upstreams).match(target), "POST", headers, b"")
        assert scope in headers["Authorization"]
