"""Where the AWS keys come from that calls are signed with: settings, files, or the standard ``AWS_*`` environment.

First hit wins: the upstream's own ``aws`` section (keys, key files, then a profile of a credentials file), then
``AWS_ACCESS_KEY_ID``/``AWS_SECRET_ACCESS_KEY``/``AWS_SESSION_TOKEN``, then ``AWS_PROFILE``. A credentials file is used
only where it or a profile is named: a person's default keys are not lent to every agent by accident. Roles that need a
call to AWS (SSO, STS, instance metadata) are not resolved here: let their own tool write a credentials file; a file
that changes is read again.
"""

from __future__ import annotations

import configparser
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from proxy.settings import Aws, Upstream
from proxy.signing import Keys

_DEFAULT_FILE = "~/.aws/credentials"
_MAX_FILE_BYTES = 256 * 1024
_RECHECK_S = 10.0


class NoKeys(ValueError):
    """Keys were named that cannot be had. The text says which and why, and holds no secret."""


@dataclass(frozen=True, slots=True)
class _Place:
    """A credentials file and the profile in it."""

    file: str
    profile: str


def resolve(aws: Aws, environment: Mapping[str, str]) -> Keys | None:
    """The keys, or None where none are configured.

    Raises:
        NoKeys: the ``aws`` section names keys, a file or a profile that are incomplete or cannot be read.
    """
    if (own := _own(aws)) is not None:
        return own
    if aws.credentials_file or aws.profile:
        return _from_file(_place(aws, environment))
    if environment.get("AWS_ACCESS_KEY_ID") and environment.get("AWS_SECRET_ACCESS_KEY"):
        token = environment.get("AWS_SESSION_TOKEN", "")
        return Keys(environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"], token)
    if environment.get("AWS_PROFILE"):
        try:
            return _from_file(_place(Aws(), environment))
        except NoKeys:
            return None  # a profile for other tools (SSO, roles) is no mistake of orchtax's configuration
    return None


def is_signed_for(upstream: Upstream) -> bool:
    """Whether calls to this upstream are signed: it is of family ``bedrock``, or has an ``aws`` section."""
    return upstream.api == "bedrock" or upstream.aws != Aws()


def key_problems(upstreams: Mapping[str, Upstream], environment: Mapping[str, str]) -> list[str]:
    """A line for each ``aws`` section whose keys cannot be had."""
    found: list[str] = []
    for name, upstream in upstreams.items():
        try:
            if is_signed_for(upstream):
                resolve(upstream.aws, environment)
        except NoKeys as error:
            found.append(f"upstreams.{name}.aws: {error}")
    return found


def region_of(environment: Mapping[str, str]) -> str:
    """``AWS_REGION``, else ``AWS_DEFAULT_REGION``, else the empty string."""
    return environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or ""


class KeyRing:
    """The keys of one upstream, read again when a file they came from has changed (looked at every ten seconds at
    most). A file that has become unreadable leaves the last keys in use."""

    def __init__(self, aws: Aws, environment: Mapping[str, str], clock: Callable[[], float] = time.monotonic) -> None:
        self._aws = aws
        self._environment = environment
        self._clock = clock
        self._paths = _paths(aws, environment)
        self._seen_at = clock()
        self._state = self._look()
        self._keys = resolve(aws, environment)

    def current(self) -> Keys | None:
        """The keys to sign with now, or None where none are configured."""
        if self._paths and self._clock() - self._seen_at >= _RECHECK_S:
            self._seen_at = self._clock()
            self._reread()
        return self._keys

    def _reread(self) -> None:
        state = self._look()
        if state == self._state:
            return
        try:
            self._keys = resolve(self._aws, self._environment) or self._keys
        except NoKeys:
            return  # half-written or gone: the next look may find it whole
        self._state = state

    def _look(self) -> tuple[tuple[int, int] | None, ...]:
        return tuple(_stamp(path) for path in self._paths)


def _own(aws: Aws) -> Keys | None:
    """Keys that the section itself gives, plainly or as files."""
    given = {}
    for name in ("access_key_id", "secret_access_key", "session_token"):
        plain, file = getattr(aws, name), getattr(aws, f"{name}_file")
        given[name] = plain.get_secret_value() if plain else _read(file).strip() if file else ""
    if not any(given.values()):
        return None
    for name in ("access_key_id", "secret_access_key"):
        if not given[name]:
            raise NoKeys(f"aws.{name} is missing: give it, or aws.{name}_file, beside the other")
    return Keys(**given)


def _place(aws: Aws, environment: Mapping[str, str]) -> _Place:
    file = aws.credentials_file or environment.get("AWS_SHARED_CREDENTIALS_FILE") or _DEFAULT_FILE
    return _Place(file, aws.profile or environment.get("AWS_PROFILE") or "default")


def _from_file(place: _Place) -> Keys:
    ini = configparser.ConfigParser(interpolation=None)
    try:
        ini.read_string(_read(place.file))
    except configparser.Error as error:
        raise NoKeys(f"{place.file} is not a credentials file ({type(error).__name__})") from None
    if not ini.has_section(place.profile):
        raise NoKeys(f"{place.file} has no profile {place.profile!r}")
    section = ini[place.profile]
    keys = Keys(
        section.get("aws_access_key_id", ""),
        section.get("aws_secret_access_key", ""),
        section.get("aws_session_token", ""),
    )
    if not (keys.access_key_id and keys.secret_access_key):
        raise NoKeys(
            f"profile {place.profile!r} of {place.file} has no aws_access_key_id and aws_secret_access_key; roles and "
            "SSO are not resolved: let their own tool write the keys there"
        )
    return keys


def _paths(aws: Aws, environment: Mapping[str, str]) -> tuple[str, ...]:
    files = [aws.access_key_id_file, aws.secret_access_key_file, aws.session_token_file]
    if aws.credentials_file or aws.profile or environment.get("AWS_PROFILE"):
        files.append(_place(aws, environment).file)
    return tuple(file for file in files if file)


def _read(file: str) -> str:
    try:
        with Path(file).expanduser().open("rb") as opened:
            return opened.read(_MAX_FILE_BYTES).decode()
    except (OSError, UnicodeDecodeError, RuntimeError) as error:
        raise NoKeys(f"{file} cannot be read ({type(error).__name__})") from None


def _stamp(file: str) -> tuple[int, int] | None:
    try:
        found = Path(file).expanduser().stat()
    except (OSError, RuntimeError):
        return None
    return found.st_mtime_ns, found.st_ino
