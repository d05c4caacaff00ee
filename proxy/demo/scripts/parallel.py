"""Plan, four researchers at once (of different speed, so that the barrier shows), then one recommendation."""

from __future__ import annotations

from proxy.demo.play import Ask, Script, Turn


def _worker(part: str, query: str, first_byte_ms: int) -> tuple[Turn, ...]:
    return (
        Turn(asks=(Ask("search", {"query": query}),), first_byte_ms=first_byte_ms // 2),
        Turn(f"parallel/{part}", first_byte_ms=first_byte_ms),
    )


SCRIPT: Script = {
    "planner": (Turn("parallel/plan", first_byte_ms=320),),
    "research-cost": _worker("cost", "heat pump cost installed kilowatt public buildings payback", 420),
    "research-grid": _worker("grid", "heat pump grid load transformer connection months", 680),
    "research-trade": _worker("trade", "heating firms tender lots bids fitters capacity", 360),
    "research-grants": _worker("grants", "grants heat public buildings programme eligible application", 840),
    "aggregator": (Turn("parallel/aggregate", first_byte_ms=460),),
}
