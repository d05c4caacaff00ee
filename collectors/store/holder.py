"""Who holds an embedded store: the engine itself only says that it could not start.

The engine flock()s ``status`` in its directory and writes its process id there (ClickHouse's StatusFile).
"""

from __future__ import annotations

import fcntl
import os
import re
from pathlib import Path

_PID = re.compile(rb"^PID: (\d+)$", re.MULTILINE)


def holder(directory: Path) -> str | None:
    """``process 4711 (orchtax serve)``, or None when nobody holds ``directory``."""
    try:
        fd = os.open(directory / "status", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return _describe(os.read(fd, 4096))
    else:
        return None
    finally:
        os.close(fd)


def _describe(status: bytes) -> str:
    found = _PID.search(status)
    if found is None:
        return "an unknown process"
    pid = int(found[1])
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace").strip()
    except OSError:
        command = "of another container or user"
    return f"process {pid} ({command[:200]})"
