"""Parallel research with aggregation: a plan, four researchers at once, one recommendation."""

from __future__ import annotations

import asyncio

from proxy.demo.desk import Desk
from proxy.demo.fleets import Fleet
from proxy.demo.fleets._chat import streamed, tool_loop
from proxy.demo.words import text

PARTS = ("cost", "grid", "trade", "grants")
WORKER_MODEL, LEAD_MODEL = "gpt-4.1-mini", "gpt-4.1"


async def run(desk: Desk) -> str:
    """Answers a town council's question."""
    question = text("parallel/question", desk.session)
    plan = await _lead(desk, "planner", "parallel/planner_prompt", [question])
    findings = await asyncio.gather(*(_research(desk, part, plan) for part in PARTS))
    return await _lead(desk, "aggregator", "parallel/aggregate_prompt", [question, *findings])


async def _research(desk: Desk, part: str, plan: str) -> str:
    stage = f"research-{part}"
    async with desk.mcp(stage) as tools:
        messages = [
            {"role": "system", "content": text("parallel/worker_prompt")},
            {"role": "user", "content": [{"type": "text", "text": plan}, {"type": "text", "text": f"Yours: {part}."}]},
        ]
        return await tool_loop(desk, stage, tools, {"model": WORKER_MODEL, "messages": messages})


async def _lead(desk: Desk, stage: str, prompt: str, parts: list[str]) -> str:
    return await streamed(
        desk.openai(stage),
        model=LEAD_MODEL,
        messages=[
            {"role": "system", "content": text(prompt)},
            {"role": "user", "content": [{"type": "text", "text": part} for part in parts]},
        ],
        stream_options={"include_usage": True},
        user=desk.caller(stage),
    )


FLEET = Fleet(
    "parallel", "parallel research, aggregation", run, place=4, roles={"planner": "plan", "aggregator": "aggregate"}
)
