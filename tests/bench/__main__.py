"""``python -m tests.bench``: see ``--help``."""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path

import orjson
from rich.console import Console

from tests.bench.options import Options, parse
from tests.bench.run import Report, run
from tests.bench.table import show


def bench(options: Options, out: Console) -> Report:
    """Play, with progress on a line of its own on terminals and on one line a step elsewhere."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="orchtax-bench-") as folder, out.status("starting") as status:

        def tell(what: str) -> None:
            line = f"{time.monotonic() - began:4.0f} s  {what}"
            status.update(line)
            if not out.is_terminal:
                out.print(line, highlight=False)

        return asyncio.run(run(options.plan, Path(folder), tell))


def main() -> None:
    """Exit code 1 when calls failed: the figures then say nothing."""
    options, out = parse(sys.argv[1:]), Console(stderr=False)
    report = bench(options, out)
    show(out, report)
    if options.json_file is not None:
        options.json_file.write_bytes(orjson.dumps(report, option=orjson.OPT_INDENT_2))
    sys.exit(1 if report.failed else 0)


if __name__ == "__main__":
    main()
