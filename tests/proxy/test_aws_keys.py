"""Where signing keys come from, what wins, and that nothing secret is told."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from proxy.aws_keys import KeyRing, NoKeys, key_problems, region_of, resolve
from proxy.settings import Aws, Settings
from proxy.settings_file import BadSettings, load_with_origins
from proxy.signing import Keys

ENVIRONMENT = {"AWS_ACCESS_KEY_ID": "ENVID", "AWS_SECRET_ACCESS_KEY": "envsecret"}


def aws(**given: str) -> Aws:
    return Aws.model_validate(given)


def credentials(file: Path, text: str = "[default]\naws_access_key_id = A\naws_secret_access_key = %b\n") -> str:
    file.write_text(text)
    return str(file)


def test_nothing_configured_is_no_keys() -> None:
    assert resolve(Aws(), {}) is None
    assert resolve(Aws(region="us-east-1"), {"AWS_ACCESS_KEY_ID": "alone"}) is None


def test_the_environment_is_the_default_and_the_section_wins() -> None:
    assert resolve(Aws(), ENVIRONMENT) == Keys("ENVID", "envsecret")
    assert resolve(Aws(), {**ENVIRONMENT, "AWS_SESSION_TOKEN": "t"}) == Keys("ENVID", "envsecret", "t")
    own = aws(access_key_id="OWN", secret_access_key="s")
    assert resolve(own, {**ENVIRONMENT, "AWS_SESSION_TOKEN": "t"}) == Keys("OWN", "s")


def test_each_part_may_stand_in_a_file(tmp_path: Path) -> None:
    for name in ("id", "secret", "token"):
        (tmp_path / name).write_text(f"{name}1\n")
    files = {
        "access_key_id_file": str(tmp_path / "id"),
        "secret_access_key_file": str(tmp_path / "secret"),
        "session_token_file": str(tmp_path / "token"),
    }
    assert resolve(aws(**files), ENVIRONMENT) == Keys("id1", "secret1", "token1")
    assert resolve(aws(**files, access_key_id="plain"), {}) == Keys("plain", "secret1", "token1")


def test_a_profile_is_read_from_the_file_that_is_named(tmp_path: Path) -> None:
    text = "[default]\naws_access_key_id=A\naws_secret_access_key=b%c\n[two]\naws_access_key_id=C\n"
    file = credentials(tmp_path / "c", text + "aws_secret_access_key=d\naws_session_token=t\n")
    assert resolve(aws(credentials_file=file), ENVIRONMENT) == Keys("A", "b%c")
    assert resolve(aws(credentials_file=file, profile="two"), {}) == Keys("C", "d", "t")
    named = {"AWS_SHARED_CREDENTIALS_FILE": file}
    assert resolve(aws(profile="two"), named) == resolve(Aws(), {**named, "AWS_PROFILE": "two"}) == Keys("C", "d", "t")
    assert resolve(Aws(), named) is None


def test_a_profile_of_the_environment_that_has_no_keys_is_no_mistake(tmp_path: Path) -> None:
    file = credentials(tmp_path / "c", "[sso]\nsso_session = x\n")
    assert resolve(Aws(), {"AWS_PROFILE": "sso", "AWS_SHARED_CREDENTIALS_FILE": file}) is None


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"access_key_id": "canary"}, "aws.secret_access_key is missing"),
        ({"secret_access_key": "canary"}, "aws.access_key_id is missing"),
        ({"access_key_id": "canary", "secret_access_key_file": "/nowhere/s"}, "/nowhere/s cannot be read"),
        ({"credentials_file": "/nowhere/c"}, "/nowhere/c cannot be read"),
        ({"credentials_file": "FILE", "profile": "other"}, "no profile 'other'"),
        ({"credentials_file": "FILE", "profile": "half"}, "roles and SSO are not resolved"),
    ],
)
def test_keys_that_cannot_be_had_are_named(tmp_path: Path, given: dict[str, str], told: str) -> None:
    file = credentials(tmp_path / "c", "[half]\naws_access_key_id = canary\n")
    with pytest.raises(NoKeys, match=told) as caught:
        resolve(aws(**{name: file if value == "FILE" else value for name, value in given.items()}), {})
    assert "canary" not in str(caught.value)


def test_a_file_that_is_no_credentials_file_is_named_without_its_content(tmp_path: Path) -> None:
    with pytest.raises(NoKeys, match="is not a credentials file") as caught:
        resolve(aws(credentials_file=credentials(tmp_path / "c", "canary = 1\n")), {})
    assert "canary" not in str(caught.value)


def test_bad_keys_stop_the_start(tmp_path: Path) -> None:
    file = tmp_path / "orchtax.yaml"
    file.write_text("upstreams: {bedrock: {aws: {access_key_id: canary}}}\n")
    with pytest.raises(BadSettings, match=r"upstreams\.bedrock\.aws: aws\.secret_access_key is missing") as caught:
        load_with_origins(str(file), {})
    assert "canary" not in str(caught.value)
    environment = {"ORCHTAX_UPSTREAMS__BEDROCK__AWS__SECRET_ACCESS_KEY": "s"}
    found = load_with_origins(str(file), environment).settings.upstreams["bedrock"]
    assert resolve(found.aws, {}) == Keys("canary", "s")
    assert key_problems(Settings().upstreams, {}) == []


def test_the_region_of_the_environment() -> None:
    assert region_of({"AWS_REGION": "a", "AWS_DEFAULT_REGION": "b"}) == "a"
    assert region_of({"AWS_DEFAULT_REGION": "b"}) == "b"
    assert region_of({}) == ""


class Turned:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_file_that_changes_is_read_again(tmp_path: Path) -> None:
    path, clock = tmp_path / "c", Turned()
    ring = KeyRing(aws(credentials_file=credentials(path)), {}, clock)
    assert ring.current() == Keys("A", "%b")
    new = tmp_path / "new"
    credentials(new, "[default]\naws_access_key_id = N\naws_secret_access_key = n\n")
    os.replace(new, path)
    assert ring.current() == Keys("A", "%b")  # looked at a moment ago
    clock.now = 10.0
    assert ring.current() == Keys("N", "n")
    path.unlink()
    clock.now = 20.0
    assert ring.current() == Keys("N", "n")
    credentials(path)
    clock.now = 30.0
    assert ring.current() == Keys("A", "%b")
