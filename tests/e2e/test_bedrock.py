"""boto3 against a server that checks signatures, straight and through orchtax: same answer, right record, own keys."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import aiohttp
import boto3
import orjson
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from collectors.records import CallRecord
from tests.aws_front import Front, front
from tests.aws_stream import STREAM, chunks, converse_stream, message
from tests.bedrock_calls import EVENTS, METRICS, PROFILE, USAGE, WHOLE
from tests.serving import Serving, serving, spooled
from tests.upstream import answer, chunked, until

NO_STORE = {"url": "clickhouse://127.0.0.1:9/orchtax"}  # records stay in the spool, where these tests read them
MODEL = "us.amazon.nova-micro-v1:0"
OWN = {"access_key_id": "ORCHTAX", "secret_access_key": "the proxy's secret"}
SECRETS = {"AGENT": "the agent's secret", "ORCHTAX": OWN["secret_access_key"]}
COUNTED = "x-amzn-bedrock-input-token-count: 21\r\nx-amzn-bedrock-output-token-count: 8\r\n"
TEXT = {"outputs": [{"text": "Hi.", "stop_reason": "stop"}]}
QUESTION = {"modelId": MODEL, "messages": [{"role": "user", "content": [{"text": "Where is 世界?"}]}]}
LATER = answer(
    b'{"message": "later"}', "503 Service Unavailable", extra="x-amzn-ErrorType: ServiceUnavailableException\r\n"
)
COUNTS = (1_706, 40, 1_500, 203)
# genai-prices 0.2.3 of Nova Micro, USD per million tokens: fresh 0.035, cache read 0.00875, output 0.14; it has no
# price for cache writes, which then cost as fresh input.
COST_NANO = round((3 + 203) * 35 + 1_500 * 8.75 + 40 * 140)


def streamed(stream: bytes) -> list[bytes]:
    """In pieces that match no message's edges."""
    return chunked([stream[at : at + 97] for at in range(0, len(stream), 97)], STREAM)


def answers() -> dict[str, list[list[bytes]]]:
    return {
        "converse": [[answer(orjson.dumps(WHOLE))]],
        "converse-stream": [streamed(converse_stream(*EVENTS))],
        "invoke": [[answer(orjson.dumps(TEXT), extra=COUNTED)]],
        "invoke-with-response-stream": [streamed(chunks({**TEXT, "amazon-bedrock-invocationMetrics": METRICS}))],
    }


class Stand:
    """The front, orchtax before it, and boto3 on both ways."""

    def __init__(self, aws: Front, running: Serving) -> None:
        self.aws, self.running = aws, running
        self.through = f"{running.url}/session/s1/stage/writer/bedrock/us-east-1"

    async def ask(self, url: str, use: Callable[[Any], Any]) -> Any:
        """What ``use`` makes of a boto3 client pointed at ``url``, in a thread."""
        return await asyncio.to_thread(ask, url, use)

    async def both(self, use: Callable[[Any], Any]) -> Any:
        """The same straight and through orchtax."""
        straight = await self.ask(f"{self.aws.url}/us-east-1", use)
        through = await self.ask(self.through, use)
        assert through == straight
        assert self.aws.callers[-2:] == ["AGENT@us-west-2", "ORCHTAX@us-east-1"]
        return through

    async def records(self, count: int) -> list[CallRecord]:
        await until(lambda: len(spooled(self.running.data)) >= count, what=f"{count} records")
        found = sorted(spooled(self.running.data), key=lambda record: record.ts_ns)
        assert len(found) == count
        assert {(r.session_id, r.stage, r.dialect, r.upstream) for r in found} == {
            ("s1", "writer", "bedrock", "bedrock")
        }
        return found


def ask(url: str, use: Callable[[Any], Any]) -> Any:
    client = boto3.session.Session().client(
        "bedrock-runtime",
        region_name="us-west-2",  # not the path's: the path has the say
        endpoint_url=url,
        aws_access_key_id="AGENT",
        aws_secret_access_key=SECRETS["AGENT"],
        aws_session_token=None,
        config=Config(retries={"total_max_attempts": 2, "mode": "standard"}),
    )
    with closing(client):
        return use(client)


@asynccontextmanager
async def standing(tmp_path: Path, **aws: Any) -> AsyncIterator[Stand]:
    async with front(SECRETS, answers()) as server:
        upstreams = {"bedrock": {"base_url": f"{server.url}/{{region}}", "aws": aws}}
        async with serving(tmp_path, store=NO_STORE, upstreams=upstreams, drain_s=2) as running:
            yield Stand(server, running)


@pytest.fixture(autouse=True)
def no_keys_around(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whoever runs the tests may have keys of their own."""
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_BEARER_TOKEN_BEDROCK", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))


@pytest.fixture
async def stand(tmp_path: Path) -> AsyncIterator[Stand]:
    async with standing(tmp_path, **OWN) as found:
        yield found


def plain(told: dict[str, Any]) -> dict[str, Any]:
    """An answer without what belongs to the exchange."""
    return {name: value for name, value in told.items() if name != "ResponseMetadata"}


async def test_converse(stand: Stand) -> None:
    told = await stand.both(lambda client: plain(client.converse(**QUESTION)))
    assert told["usage"] == USAGE
    record = (await stand.records(1))[0]
    assert (record.kind, record.operation, record.model, record.streamed) == ("model", "chat", MODEL, False)
    assert (record.outcome, record.finish_reason, record.usage_source) == ("ok", "tool_use", "reported")
    counts = (record.input_tokens, record.output_tokens, record.cache_read_tokens, record.cache_write_tokens)
    assert counts == COUNTS
    assert record.cost_nano == COST_NANO
    assert (record.emitted_tools, record.client_retry) == (("look", "list"), 0)


async def test_converse_stream(stand: Stand) -> None:
    events = await stand.both(lambda client: list(client.converse_stream(**QUESTION)["stream"]))
    assert events[-1]["metadata"]["usage"] == USAGE
    record = (await stand.records(1))[0]
    assert (record.model, record.streamed, record.usage_source, record.outcome) == (MODEL, True, "reported", "ok")
    counts = (record.input_tokens, record.output_tokens, record.cache_read_tokens, record.cache_write_tokens)
    assert counts == COUNTS
    assert (record.cost_nano, record.emitted_tools) == (COST_NANO, ("look", "list"))


@pytest.mark.parametrize("model", [MODEL, PROFILE, "arn:aws:bedrock:us-east-1::foundation-model/mistral.x-v0:2"])
async def test_invoke_model_with_usage_in_the_headers_alone(stand: Stand, model: str) -> None:
    def use(client: Any) -> Any:
        return client.invoke_model(modelId=model, body=orjson.dumps({"prompt": "Hi"}))["body"].read()

    assert orjson.loads(await stand.both(use)) == TEXT
    record = (await stand.records(1))[0]
    assert record.model == (model if model in (MODEL, PROFILE) else "mistral.x-v0:2")
    assert (record.input_tokens, record.output_tokens, record.usage_source) == (21, 8, "reported")


async def test_invoke_model_with_response_stream(stand: Stand) -> None:
    def use(client: Any) -> Any:
        told = client.invoke_model_with_response_stream(modelId=MODEL, body=b'{"prompt": "Hi"}')
        return [event["chunk"]["bytes"] for event in told["body"]]

    assert len(await stand.both(use)) == 1
    record = (await stand.records(1))[0]
    assert (record.input_tokens, record.output_tokens, record.streamed) == (21, 8, True)


async def test_boto3_s_own_retry_is_two_calls_one_of_them_marked_each_signed(stand: Stand) -> None:
    stand.aws.answers["converse"].insert(0, [LATER])
    told = await stand.ask(stand.through, lambda client: plain(client.converse(**QUESTION)))
    assert told["usage"] == USAGE
    first, second = await stand.records(2)
    assert (first.status, first.outcome, first.error) == (503, "error", "ServiceUnavailableException")
    assert (second.status, second.outcome, first.client_retry, second.client_retry) == (200, "ok", 0, 1)
    assert (first.body_hash, first.retry_key) == (second.body_hash, second.retry_key)
    assert first.key_hash == second.key_hash != ""  # by the key, for every signature is another
    assert stand.aws.callers == ["ORCHTAX@us-east-1"] * 2


async def test_an_exception_inside_a_stream_reaches_boto3_and_the_record(stand: Stand) -> None:
    stream = converse_stream(*EVENTS[:7]) + message("throttlingException", b'{"message":"slow down"}', "exception")
    stand.aws.answers["converse-stream"].insert(0, streamed(stream))

    def use(client: Any) -> str:
        stream = client.converse_stream(**QUESTION)["stream"]
        with closing(stream), pytest.raises(ClientError, match="slow down") as caught:
            list(stream)
        return str(caught.value.response["Error"]["Code"])

    assert await stand.ask(stand.through, use) == "throttlingException"
    record = (await stand.records(1))[0]
    assert record.outcome in ("error", "cancelled")  # boto3 may hang up before the stream's end
    assert record.error == "throttlingException"
    assert (record.usage_source, record.cost_nano is not None) == ("estimated", True)


async def test_keys_come_from_the_environment_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "ORCHTAX")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRETS["ORCHTAX"])
    async with standing(tmp_path) as stand:
        await stand.both(lambda client: plain(client.converse(**QUESTION)))


async def test_without_keys_a_signed_call_is_boto3_s_own_exception_that_says_what_to_set(tmp_path: Path) -> None:
    async with standing(tmp_path) as stand:

        def use(client: Any) -> Any:
            with pytest.raises(ClientError) as caught:
                client.converse(**QUESTION)
            return caught.value.response

        told = await stand.ask(stand.through, use)
        assert told["Error"]["Code"] == "UnrecognizedClientException"
        assert "upstreams.bedrock.aws" in told["Error"]["Message"]
        assert told["ResponseMetadata"]["RetryAttempts"] == 0
        assert not stand.aws.seen
        assert (await stand.records(1))[0].outcome == "refused"


async def test_a_bearer_token_passes_unchanged(stand: Stand) -> None:
    headers = {"Authorization": "Bearer bedrock-api-key-1", "Content-Type": "application/json"}
    url = f"{stand.through}/model/us.amazon.nova-micro-v1%3A0/converse"
    async with aiohttp.ClientSession() as session, session.post(url, json={}, headers=headers) as response:
        assert response.status == 200
        assert await response.read() == orjson.dumps(WHOLE)
    assert stand.aws.callers == ["bedrock-api-key-1"]
    assert stand.aws.seen[-1].header("X-Amz-Date") is None


async def test_no_secret_is_written_anywhere(stand: Stand) -> None:
    await stand.ask(stand.through, lambda client: plain(client.converse(**QUESTION)))
    await stand.records(1)
    written = [path for path in stand.running.data.rglob("*") if path.is_file()] + [stand.running.log]
    for path in written:
        content = path.read_bytes()
        assert not any(secret.encode() in content for secret in SECRETS.values()), path
