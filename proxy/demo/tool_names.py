"""Names that the agents, the tool server and orchtax's configuration share."""

from typing import Final

MCP_UPSTREAM: Final = "library"
ORDERS_UPSTREAM: Final = "orders"
CALLER_HEADER: Final = "X-Demo-Caller"
