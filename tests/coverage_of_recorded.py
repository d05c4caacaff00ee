"""``python -m tests.coverage_of_recorded``: what orchtax reads of the recorded traffic, provider by provider.

``usage in body`` counts answers whose JSON holds a positive token count; ``usage`` those of which it was read.
"""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from tests.recorded import RECORDED, Exchange, exchanges

_COUNT = re.compile(rb'"(?:input|prompt|total)_?tokens?(?:count)?":\s*[1-9]', re.IGNORECASE)


@dataclass(slots=True)
class Row:
    exchanges: int = 0
    models: int = 0
    with_model: int = 0
    with_usage: int = 0
    usage_in_body: int = 0


def rows() -> dict[str, Row]:
    """One row a provider; ``models`` are the 2xx exchanges with a model."""
    found: defaultdict[str, Row] = defaultdict(Row)
    for one in exchanges():
        row = found[one.provider]
        row.exchanges += 1
        if one.request and one.status < 300 and one.describe().kind == "model":
            _count(row, one)
    return dict(sorted(found.items()))


def _count(row: Row, one: Exchange) -> None:
    seen = one.observe()
    is_told = seen.usage is not None and seen.usage.input_tokens is not None
    row.models += 1
    row.with_model += bool(seen.model or one.describe().model)
    row.with_usage += is_told
    row.usage_in_body += is_told or _COUNT.search(one.answer) is not None


def main() -> int:
    if not RECORDED.exists():
        sys.stderr.write("the recorded exchanges are not beside the repository\n")
        return 1
    table = Table("provider", "exchanges", "model, 2xx", "with model", "with usage", "usage in body")
    for provider, row in rows().items():
        figures = (row.exchanges, row.models, row.with_model, row.with_usage, row.usage_in_body)
        table.add_row(provider, *map(str, figures))
    Console().print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
