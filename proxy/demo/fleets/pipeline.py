"""A sequential pipeline: each stage gets the first request and the former stage's output as parts of its message."""

from __future__ import annotations

from proxy.demo.desk import Desk
from proxy.demo.fleets import Fleet
from proxy.demo.fleets._chat import streamed
from proxy.demo.words import text


async def run(desk: Desk) -> str:
    """Turns an incident log into a message to customers."""
    log = text("pipeline/log", desk.session)
    facts = await _stage(desk, "extract", [log])
    causes = await _stage(desk, "analyse", [log, facts])
    return await _stage(desk, "write", [log, facts, causes])


async def _stage(desk: Desk, stage: str, parts: list[str]) -> str:
    return await streamed(
        desk.openai(stage),
        model="gpt-4.1",
        messages=[
            {"role": "system", "content": text(f"pipeline/{stage}_prompt")},
            {"role": "user", "content": [{"type": "text", "text": part} for part in parts]},
        ],
        user=desk.caller(stage),
    )


FLEET = Fleet("pipeline", "sequential pipeline", run, place=3)
