"""A supervisor with workers: it hands over by ``transfer_to_…`` tools, and each worker's result comes back to it."""

from __future__ import annotations

import json

from openai.types.chat import ChatCompletionMessageFunctionToolCall

from proxy.demo.desk import Desk
from proxy.demo.fleets import Fleet
from proxy.demo.fleets._chat import Message, spoken, streamed, tool_loop
from proxy.demo.words import text

MODEL = "house-70b"  # a model of the operator's own: its price stands in orchtax's configuration
MEMBERS = {
    "researcher": "knows the library; reports what it says, with figures and addresses",
    "engineer": "writes the plan of the change, step by step, with times and the way back",
    "writer": "writes the notice to the product team",
}
HANDOVERS: list[Message] = [
    {
        "type": "function",
        "function": {
            "name": f"transfer_to_{member}",
            "description": f"Hand over to the {member}, who {does}.",
            "parameters": {"type": "object", "properties": {"brief": {"type": "string"}}, "required": ["brief"]},
        },
    }
    for member, does in MEMBERS.items()
]


async def run(desk: Desk) -> str:
    """Prepares the change of a large table; returns the supervisor's closing words."""
    client, done = desk.openai("supervisor"), ""
    messages: list[Message] = [
        {"role": "system", "content": text("supervised/charter")},
        {"role": "user", "content": text("supervised/task", desk.session)},
    ]
    while True:
        request: Message = {"model": MODEL, "messages": messages, "tools": HANDOVERS}
        answer = await client.chat.completions.create(**request, user=desk.caller("supervisor"))
        message = answer.choices[0].message
        calls = [c for c in message.tool_calls or () if isinstance(c, ChatCompletionMessageFunctionToolCall)]
        if not calls:
            return message.content or ""
        messages.append(spoken(message))
        for call in calls:
            member = call.function.name.removeprefix("transfer_to_")
            done = await _member(desk, member, json.loads(call.function.arguments)["brief"], done)
            messages.append({"role": "tool", "tool_call_id": call.id, "content": done})


async def _member(desk: Desk, member: str, brief: str, before: str) -> str:
    """A worker reads its brief and what the one before it found."""
    parts = [{"type": "text", "text": part} for part in (brief, before) if part]
    messages: list[Message] = [
        {"role": "system", "content": text(f"supervised/{member}_prompt")},
        {"role": "user", "content": parts},
    ]
    if member == "researcher":
        async with desk.mcp(member) as tools:
            return await tool_loop(desk, member, tools, {"model": MODEL, "messages": messages})
    return await streamed(desk.openai(member), model=MODEL, messages=messages, user=desk.caller(member))


FLEET = Fleet("supervised", "supervisor with workers", run, place=5, roles={"supervisor": "coordinate"})
