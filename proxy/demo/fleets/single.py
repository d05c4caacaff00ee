"""A single agent with a tool loop over MCP; the reference that the other patterns are held against."""

from __future__ import annotations

from proxy.demo.desk import Desk
from proxy.demo.fleets import Fleet
from proxy.demo.fleets._chat import tool_loop
from proxy.demo.words import text


async def run(desk: Desk) -> str:
    """Answers an account manager's question about a plan."""
    async with desk.mcp("analyst") as tools:
        messages = [
            {"role": "system", "content": text("single/handbook")},
            {"role": "user", "content": text("single/question", desk.session)},
        ]
        return await tool_loop(desk, "analyst", tools, {"model": "gpt-4.1", "messages": messages})


FLEET = Fleet("single", "single agent, tool loop", run, place=1)
