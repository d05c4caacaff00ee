"""An MCP server of the real SDK with everything that a server can do: tools that report, ask, fail and come back later,
resources, prompts, completion, and streams that can be resumed."""

from __future__ import annotations

from typing import Annotated, Any

from mcp.server.mcpserver import Context, Elicit, MCPServer, Resolve, Sample
from mcp.server.streamable_http import EventCallback, EventMessage, EventStore
from mcp_types import Completion, CreateMessageResult, JSONRPCMessage, SamplingMessage, TextContent
from pydantic import BaseModel
from starlette.types import ASGIApp, Receive, Scope, Send


class Memory(EventStore):
    """Keeps every event, so that a stream that was closed can be resumed."""

    def __init__(self) -> None:
        self._events: list[tuple[str, JSONRPCMessage | None]] = []

    async def store_event(self, stream_id: str, message: JSONRPCMessage | None) -> str:
        self._events.append((stream_id, message))
        return str(len(self._events) - 1)

    async def replay_events_after(self, last_event_id: str, send_callback: EventCallback) -> str | None:
        stream = self._events[int(last_event_id)][0]
        for number, (of, message) in enumerate(self._events):
            if of == stream and number > int(last_event_id) and message is not None:
                await send_callback(EventMessage(message, str(number)))
        return stream


class Who(BaseModel):
    """What the tool asks the user for."""

    name: str


def ask_who() -> Elicit[Who]:
    return Elicit("For whom?", Who)


def ask_model() -> Sample:
    return Sample([SamplingMessage(role="user", content=TextContent(type="text", text="Rhyme?"))], max_tokens=9)


def tools(server: MCPServer) -> None:
    """Tools that report, ask and fail."""

    @server.tool()
    async def count(ctx: Context, to: int) -> str:
        """Counts, telling how far it is."""
        for number in range(to):
            await ctx.report_progress(number + 1, to, f"at {number + 1}")
        return f"counted to {to}"

    @server.tool()
    async def greet(who: Annotated[Who, Resolve(ask_who)]) -> str:
        """Asks whom to greet."""
        return f"Hello {who.name}"

    @server.tool()
    async def rhyme(said: Annotated[CreateMessageResult, Resolve(ask_model)]) -> str:
        """Asks the client's model."""
        return f"It said {said.content.text}" if isinstance(said.content, TextContent) else "?"

    @server.tool()
    async def break_down() -> str:
        """Fails."""
        raise RuntimeError("broken")

    @server.tool()
    async def leave_and_come_back(ctx: Context) -> str:
        """Closes its stream before the answer is there: the client fetches it by resuming."""
        await ctx.close_sse_stream()
        return "here again"

    @server.tool()
    async def change(ctx: Context) -> str:
        """Tells who listens that the tools have changed."""
        await ctx.notify_tools_changed()
        return "changed"


def server_app(headers: list[dict[bytes, bytes]]) -> ASGIApp:
    """All of it behind ``/mcp``; ``headers`` fills with those of every request."""
    server = MCPServer("desk", log_level="ERROR")
    tools(server)

    @server.resource("note://{name}")
    def note(name: str) -> str:
        return f"A note on {name}."

    @server.prompt()
    def letter(to: str) -> str:
        return f"Write to {to}."

    @server.completion()  # type: ignore[no-untyped-call, untyped-decorator]  # the SDK's decorator has no annotation
    async def complete(ref: Any, argument: Any, context: Any) -> Completion:
        return Completion(values=[argument.value + "nn"])

    app = server.streamable_http_app(streamable_http_path="/mcp", event_store=Memory(), retry_interval=10)

    async def watched(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers.append({**dict(scope["headers"]), b":method": scope["method"].encode()})
        await app(scope, receive, send)

    return watched
