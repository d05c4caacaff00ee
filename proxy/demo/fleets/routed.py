"""Router → specialist → validator: the validator's FAIL sends the specialist back to work."""

from __future__ import annotations

import json

from anthropic.types import MessageParam, TextBlock, ToolParam, ToolResultBlockParam, ToolUseBlock

from proxy.demo.desk import Desk
from proxy.demo.fleets import Fleet
from proxy.demo.words import text

ROUTER_MODEL, WRITER_MODEL = "gpt-4.1-mini", "claude-sonnet-4-6"
MOST_ROUNDS = 3
ORDERS_TOOL: ToolParam = {
    "name": "orders",
    "description": "Look up one order by its number: item, price paid, days of order and delivery, carrier, returns.",
    "input_schema": {"type": "object", "properties": {"order": {"type": "string"}}, "required": ["order"]},
}


async def run(desk: Desk) -> str:
    """Answers a customer's letter; returns the reply that passed."""
    letter = text("routed/letter", desk.session)
    await _one_question(desk, "router", text("routed/router"), [letter])
    history: list[MessageParam] = [{"role": "user", "content": [{"type": "text", "text": letter}]}]
    order, reply = "", ""
    for _ in range(MOST_ROUNDS):
        reply, found = await _specialist(desk, history)
        order = found or order
        verdict = json.loads(await _one_question(desk, "validator", text("routed/checker"), [letter, order, reply]))
        if verdict["pass"]:
            break
        history.append({"role": "user", "content": [{"type": "text", "text": verdict["reason"]}]})
    return reply


async def _one_question(desk: Desk, stage: str, system: str, parts: list[str]) -> str:
    answer = await desk.openai(stage).chat.completions.create(
        model=ROUTER_MODEL,
        messages=[
            {"role": "system", "content": system},
            {"role": "user", "content": [{"type": "text", "text": part} for part in parts]},
        ],
        response_format={"type": "json_object"},
        user=desk.caller(stage),
    )
    return answer.choices[0].message.content or ""


async def _specialist(desk: Desk, history: list[MessageParam]) -> tuple[str, str]:
    """``(reply, order as looked up or "")``; the history grows by what was said."""
    order = ""
    while True:
        async with desk.anthropic("specialist").messages.stream(
            model=WRITER_MODEL,
            max_tokens=1024,
            system=[{"type": "text", "text": text("routed/policy"), "cache_control": {"type": "ephemeral"}}],
            tools=[ORDERS_TOOL],
            messages=history,
            metadata={"user_id": desk.caller("specialist")},
        ) as stream:
            message = await stream.get_final_message()
        history.append({"role": "assistant", "content": message.content})
        asked = [block for block in message.content if isinstance(block, ToolUseBlock)]
        if not asked:
            return "".join(block.text for block in message.content if isinstance(block, TextBlock)), order
        results: list[ToolResultBlockParam] = []
        for block in asked:
            order = await desk.order("specialist", json.dumps(block.input).encode())
            results.append({"type": "tool_result", "tool_use_id": block.id, "content": order})
        history.append({"role": "user", "content": results})


FLEET = Fleet(
    "routed",
    "router → specialist → validator, rework",
    run,
    place=2,
    roles={"router": "route", "validator": "validate"},
)
