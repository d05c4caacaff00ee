"""The data directory: one running orchtax owns it. Holds the lock, the salt of key hashes, and where it runs."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
from pathlib import Path
from types import TracebackType
from typing import Any, Self


class DataDirTaken(Exception):
    """Another process holds the directory, or it cannot be used; the text says which and what to do."""


class DataDir:
    """``with DataDir.claim(path) as data_dir``: exclusive until left, also freed by a crash (``flock``)."""

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self._lock = lock

    @classmethod
    def claim(cls, path: Path) -> Self:
        """Create the directory where missing and lock it.

        Raises:
            DataDirTaken: names the path and the holder's process id.
        """
        try:
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise DataDirTaken(f"data_dir {str(path)!r} cannot be used: {error.strerror}; choose another") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(lock, 32, 0).decode(errors="replace").strip() or "unknown"
            os.close(lock)
            text = f"data_dir {str(path)!r} is in use by process {holder}; stop it, or give this one another data_dir"
            raise DataDirTaken(text) from error
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)
        return cls(path, lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        os.close(self._lock)

    def salt(self) -> bytes:
        """32 random bytes, made once, readable by the owner only: they key the hash that stands for a credential."""
        path = self.path / "salt"
        with contextlib.suppress(FileNotFoundError):
            if len(salt := path.read_bytes()) == 32:
                return salt
        salt = secrets.token_bytes(32)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(salt)
        return salt

    def remember_run(self, run: dict[str, Any]) -> None:
        """Write ``run.json`` ({"pid", "listen", "admin"}): other commands find the running server by it."""
        partial = self.path / "run.json.new"
        partial.write_text(json.dumps(run) + "\n")
        partial.replace(self.path / "run.json")

    def forget_run(self) -> None:
        (self.path / "run.json").unlink(missing_ok=True)


def running(data_dir: Path) -> str | None:
    """The admin address of the orchtax that uses ``data_dir``; None when none lives."""
    try:
        run = json.loads((data_dir / "run.json").read_text())
        pid, admin = int(run["pid"]), str(run["admin"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return admin if Path(f"/proc/{pid}").exists() or not Path("/proc").exists() else None
