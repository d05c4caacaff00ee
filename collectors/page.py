"""The built-in page's files, read once from package data. No build step; what is in ``dashboards/web`` is served."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib import resources

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class WebFile:
    body: bytes
    content_type: str
    etag: str


@dataclass(frozen=True, slots=True)
class Page:
    """Files by bare name: a name with a path in it is simply not found."""

    files: dict[str, WebFile]

    def find(self, name: str) -> WebFile | None:
        return self.files.get(name)


def load_page() -> Page:
    """Reads the package's files.

    Raises:
        FileNotFoundError: the installation lacks them.
    """
    files: dict[str, WebFile] = {}
    for entry in (resources.files("dashboards") / "web").iterdir():
        suffix = "." + entry.name.rpartition(".")[2]
        if suffix in TYPES:
            body = entry.read_bytes()
            files[entry.name] = WebFile(body, TYPES[suffix], f'"{hashlib.sha256(body).hexdigest()[:32]}"')
    if "index.html" not in files:
        raise FileNotFoundError("dashboards/web/index.html is not in this installation: install orchtax again")
    return Page(files)
