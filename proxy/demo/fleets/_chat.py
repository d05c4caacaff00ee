"""What agents on OpenAI chat do again and again: ask, and run the tools that were asked for."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from mcp import Client
from mcp.types import TextContent
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletionMessage, ChatCompletionMessageFunctionToolCall

from proxy.demo.desk import Desk

Message = dict[str, Any]


async def streamed(client: AsyncOpenAI, **request: Any) -> str:
    """The text of a streamed answer. Asks for no usage, as most agents do not."""
    said: list[str] = []
    async for chunk in await client.chat.completions.create(stream=True, **request):
        said += [choice.delta.content or "" for choice in chunk.choices]
    return "".join(said)


async def tool_loop(desk: Desk, stage: str, tools: Client, request: Message) -> str:
    """One agent: ask, run the tools over MCP, ask again, until the model answers in words.

    ``request`` is a chat request; its ``messages`` grow.
    """
    client = desk.openai(stage)
    request = {**request, "tools": await tool_definitions(tools), "user": desk.caller(stage)}
    while True:
        answer = await client.chat.completions.create(**request)
        message = answer.choices[0].message
        if not message.tool_calls:
            return message.content or ""
        calls = [call for call in message.tool_calls if isinstance(call, ChatCompletionMessageFunctionToolCall)]
        results = await asyncio.gather(*(_run(tools, call) for call in calls))
        request["messages"] = [*request["messages"], spoken(message), *results]


async def tool_definitions(tools: Client) -> list[Message]:
    """The MCP server's tools in the form of the chat API."""
    listed = await tools.list_tools()
    return [
        {
            "type": "function",
            "function": {"name": tool.name, "description": tool.description, "parameters": tool.input_schema},
        }
        for tool in listed.tools
    ]


async def _run(tools: Client, call: ChatCompletionMessageFunctionToolCall) -> Message:
    arguments = json.loads(call.function.arguments)
    result = await tools.call_tool(call.function.name, arguments)
    text = "\n".join(part.text for part in result.content if isinstance(part, TextContent))
    return {"role": "tool", "tool_call_id": call.id, "content": text}


def spoken(message: ChatCompletionMessage) -> Message:
    """An answer as it goes back into the next request's history."""
    return message.model_dump(exclude_none=True, include={"role", "content", "tool_calls"})
