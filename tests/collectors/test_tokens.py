"""Token counts: equal to another implementation, with no way out to a network, bounded in memory."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import runpy
import subprocess
import sys
import threading
from itertools import pairwise
from pathlib import Path

import pytest
import regex  # type: ignore[import-untyped]  # its stubs are a package of their own
from hypothesis import given
from hypothesis import strategies as st
from tiktoken_ext import openai_public  # type: ignore[import-untyped]  # tiktoken types its core only

from collectors.ranks_file import RANKS, VENDORED, constructor_arguments, parse, read_plain
from collectors.tokens import LONG_TEXT, TokenCounter, estimate, tokenizer_of

REPOSITORY = Path(__file__).parents[2]
RECORDED = REPOSITORY / "../shared/data/recorded.jsonl.gz"
TEXTS = (
    "",
    "hello world",
    "What is the capital of Mexico?",
    "Zażółć gęślą jaźń; 东京都; emoji 👩‍🚀 and \u200b zero width.",
    "def f(x):\n\treturn x ** 2  # comment\n\n\n    indented\r\n",
    "<|endoftext|> and <|im_start|>user<|im_sep|>",
    "1234567890 3.14159 $1,000.00 2026-11-21T09:32:24Z",
    '{"name": "search", "arguments": {"q": "a b c", "n": 5}}',
    "she'll they'RE I'D DON'T camelCaseHTTPServer" * 20,
)
# Runs before anything else in the child: whoever asks for a name, a socket or a connection dies.
FORBID = """
import sys
def refuse(event, arguments):
    if event.startswith("socket.") or event == "urllib.Request":
        raise RuntimeError(f"{event} {arguments}")
sys.addaudithook(refuse)
"""


@pytest.fixture(scope="module")
def counter() -> TokenCounter:
    return TokenCounter()


def run_child(code: str, environment: dict[str, str], *arguments: str) -> list[int]:
    """Run code that prints a JSON list of counts of the texts it gets on its standard input."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        input=json.dumps(TEXTS),
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(REPOSITORY), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    counts: list[int] = json.loads(done.stdout)
    return counts


def reference_count(ranks: dict[bytes, int], pattern: str, text: str) -> int:
    """Byte-pair encoding from its definition: join the neighbours of lowest rank until none is left."""
    tokens = 0
    for match in regex.finditer(pattern, text):
        parts = [bytes([byte]) for byte in match.group().encode()]
        while True:
            joined = [(ranks.get(a + b, len(ranks)), i) for i, (a, b) in enumerate(pairwise(parts))]
            rank, at = min(joined, default=(len(ranks), 0))
            if rank == len(ranks):
                break
            parts[at : at + 2] = [parts[at] + parts[at + 1]]
        tokens += len(parts)
    return tokens


@pytest.mark.parametrize("name", VENDORED)
def test_ranks_are_those_that_provenance_and_tiktoken_name(name: str) -> None:
    provenance = json.loads((RANKS / "provenance.json").read_text())
    digest = hashlib.sha256(read_plain(name)).hexdigest()
    assert provenance["sha256"][name] == digest
    assert digest in Path(openai_public.__file__).read_text()
    assert "MIT License" in (RANKS / "LICENSE").read_text()


@pytest.mark.parametrize("name", VENDORED)
def test_changed_ranks_are_refused(name: str) -> None:
    plain = read_plain(name)
    with pytest.raises(ValueError, match="tiktoken pins"):
        constructor_arguments(name, lambda _name: plain[:-1])


def test_vendoring_again_gives_the_same_files(tmp_path: Path) -> None:
    package, target = tmp_path / "package", tmp_path / "ranks"
    (package / "data").mkdir(parents=True)
    target.mkdir()
    provenance = json.loads((RANKS / "provenance.json").read_text())
    about = {"name": provenance["package"], "version": provenance["version"], "license": provenance["license"]}
    (package / "package.json").write_text(json.dumps(about))
    for name in VENDORED:
        (package / f"data/{name}.tiktoken").write_bytes(read_plain(name))
    runpy.run_path(str(REPOSITORY / "deploy/vendor_ranks.py"))["vendor"](package, target)
    assert json.loads((target / "provenance.json").read_text()) == provenance
    for name in VENDORED:
        assert gzip.decompress((target / f"{name}.tiktoken.gz").read_bytes()) == read_plain(name)


@pytest.mark.parametrize(("model", "name"), [("gpt-4o", "o200k_base"), ("gpt-4", "cl100k_base")])
def test_counts_equal_the_definition(counter: TokenCounter, model: str, name: str) -> None:
    ranks, pattern = parse(read_plain(name)), constructor_arguments(name)["pat_str"]
    for text in TEXTS:
        assert counter.count(model, [text]) == (reference_count(ranks, pattern, text), True), text
    assert counter.count(model, TEXTS)[0] == sum(reference_count(ranks, pattern, text) for text in TEXTS)


@pytest.mark.parametrize(("model", "name"), [("gpt-4o", "o200k_base"), ("gpt-4", "cl100k_base")])
def test_counts_without_network_equal_tiktokens_own(tmp_path: Path, model: str, name: str) -> None:
    """Both sides run where every use of a socket fails. tiktoken's own gets the ranks as a filled download cache."""
    ours = FORBID + (
        "import json\nfrom collectors.tokens import TokenCounter\ncounter = TokenCounter()\n"
        "print(json.dumps([counter.count(sys.argv[1], [text])[0] for text in json.load(sys.stdin)]))"
    )
    theirs = FORBID + (
        "import json, tiktoken\nencoding = tiktoken.get_encoding(sys.argv[1])\n"
        "print(json.dumps([len(encoding.encode(text, disallowed_special=())) for text in json.load(sys.stdin)]))"
    )
    address = f"https://openaipublic.blob.core.windows.net/encodings/{name}.tiktoken"
    cached = tmp_path / hashlib.sha1(address.encode()).hexdigest()  # noqa: S324 - tiktoken names its cache files so
    cached.write_bytes(read_plain(name))
    nowhere = str(tmp_path / "absent")
    assert run_child(ours, {"TIKTOKEN_CACHE_DIR": nowhere}, model) == run_child(
        theirs, {"TIKTOKEN_CACHE_DIR": str(tmp_path)}, name
    )
    assert not Path(nowhere).exists()


def test_forbidding_sockets_works() -> None:
    """Otherwise the test above proves nothing: a plain tiktoken without a cache must die in the same child."""
    code = FORBID + "import tiktoken\ntiktoken.get_encoding('o200k_base')"
    with pytest.raises(AssertionError, match=r"socket\.|urllib"):
        run_child(code, {"TIKTOKEN_CACHE_DIR": ""})


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("gpt-4o", ("o200k_base", True)),
        ("gpt-4o-2024-08-06", ("o200k_base", True)),
        ("openai/gpt-4o:free", ("o200k_base", True)),
        ("openrouter/openai/GPT-4.1-mini", ("o200k_base", True)),
        ("openai.gpt-oss-120b-1:0", ("o200k_base", True)),
        ("ft:gpt-4o-mini-2024-07-18:acme::abc", ("o200k_base", True)),
        ("ft:gpt-3.5-turbo-0125:acme", ("cl100k_base", True)),
        ("gpt-4-0613", ("cl100k_base", True)),
        ("text-embedding-3-small", ("cl100k_base", True)),
        ("text-davinci-003", ("o200k_base", False)),
        ("claude-opus-4-5", ("o200k_base", False)),
        ("", ("o200k_base", False)),
        (None, ("o200k_base", False)),
    ],
)
def test_tokenizer_of_model(model: str | None, expected: tuple[str, bool]) -> None:
    assert tokenizer_of(model) == expected


def test_warm_makes_ready_once_for_all_models_of_an_encoding() -> None:
    counter = TokenCounter()
    assert not counter.is_ready("gpt-4o")
    threads = [threading.Thread(target=counter.warm, args=(model,)) for model in ("gpt-4o", "claude-x")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert counter.is_ready("o3")
    assert counter.is_ready(None)
    assert not counter.is_ready("gpt-4")


def test_kept_counts_are_right_and_bounded(counter: TokenCounter) -> None:
    small = TokenCounter(max_cache_bytes=1024)  # four entries
    texts = [f"{n} " + "word " * LONG_TEXT for n in range(9)]
    expected = [counter.count("gpt-4o", [text])[0] for text in texts]
    for _ in range(2):
        assert [small.count("gpt-4o", [text])[0] for text in texts] == expected
        assert len(small._counts) == 4
    none_kept = TokenCounter(max_cache_bytes=0)
    assert [none_kept.count("gpt-4o", [text])[0] for text in texts] == expected


@given(st.text(max_size=600))
def test_any_text_counts_the_same_twice_and_never_fails(counter: TokenCounter, text: str) -> None:
    first = counter.count("gpt-4o", [text, text])
    assert first[0] % 2 == 0
    assert counter.count("gpt-4o", [text, text]) == first
    assert first[0] // 2 <= len(text.encode("utf-8", "surrogatepass"))


def test_lone_surrogates_count(counter: TokenCounter) -> None:
    assert counter.count("gpt-4o", ["a\ud800b" * LONG_TEXT])[0] > 0


@pytest.mark.parametrize(("characters", "tokens"), [(0, 0), (1, 1), (4, 1), (5, 2), (4_000_001, 1_000_001)])
def test_estimate_rounds_up(characters: int, tokens: int) -> None:
    assert estimate(characters) == tokens


def _plain_chats() -> list[tuple[str, list[str], int]]:
    """(model, contents, reported input tokens) of recorded gpt-4o chats that are nothing but text messages."""
    found = []
    with gzip.open(RECORDED, "rt") as lines:
        for exchange in map(json.loads, lines):
            if exchange["host"] != "api.openai.com" or not exchange["path"].endswith("/chat/completions"):
                continue
            if exchange["status"] != 200 or '"stream": true' in exchange["request_body"]:
                continue
            request = json.loads(exchange["request_body"])
            if {"tools", "response_format"} & request.keys() or request["model"] != "gpt-4o":
                continue
            if all(set(m) == {"role", "content"} and isinstance(m["content"], str) for m in request["messages"]):
                reported = json.loads(exchange["response_body"])["usage"]["prompt_tokens"]
                found.append((request["model"], [m["content"] for m in request["messages"]], reported))
    return found


@pytest.mark.recorded
@pytest.mark.skipif(not RECORDED.exists(), reason="the recorded exchanges are not beside the repository")
def test_chat_count_equals_what_openai_reported(counter: TokenCounter) -> None:
    chats = _plain_chats()
    assert chats
    for model, contents, reported in chats:
        assert counter.count_chat(model, len(contents), contents) == (reported, True)
