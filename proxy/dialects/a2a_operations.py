"""What is asked of an A2A agent, by one name in every binding: the JSON-RPC method of revision 1.0.

Sources: a2a-protocol.org, specification 1.0 "Method mapping reference" (JSON-RPC, HTTP+JSON) and 0.3.0 "Protocol RPC
methods" and "HTTP+JSON/REST transport" (below ``/v1``), read November 2026. Both bindings may stand below a path of the
agent's own; 1.0 may put a tenant in front.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

from proxy.dialects.fields import label

SENDS = frozenset({"SendMessage", "SendStreamingMessage"})
"""The operations that give an agent work; all others read, follow or configure."""

STREAMS = frozenset({"SendStreamingMessage", "SubscribeToTask"})
SUBSCRIBE = "SubscribeToTask"
CARD = "GetAgentCard"
"""Our own name: the card is a plain file, at the address of revision 1.0 and 0.3, or at the one before those."""

_OF_03 = {
    "message/send": "SendMessage",
    "message/stream": "SendStreamingMessage",
    "tasks/get": "GetTask",
    "tasks/list": "ListTasks",
    "tasks/cancel": "CancelTask",
    "tasks/resubscribe": "SubscribeToTask",
    "tasks/pushNotificationConfig/set": "CreateTaskPushNotificationConfig",
    "tasks/pushNotificationConfig/get": "GetTaskPushNotificationConfig",
    "tasks/pushNotificationConfig/list": "ListTaskPushNotificationConfigs",
    "tasks/pushNotificationConfig/delete": "DeleteTaskPushNotificationConfig",
    "agent/getAuthenticatedExtendedCard": "GetExtendedAgentCard",
}
_TASK = r"/tasks/([^/]+)"
_REST = [
    (method, re.compile(rf"(?:^|/){path.removeprefix('/')}$"), operation)
    for method, path, operation in (
        ("POST", r"/message:send", "SendMessage"),
        ("POST", r"/message:stream", "SendStreamingMessage"),
        ("POST", rf"{_TASK}:cancel", "CancelTask"),
        ("POST", rf"{_TASK}:subscribe", SUBSCRIBE),
        ("GET", rf"{_TASK}:subscribe", SUBSCRIBE),
        ("GET", _TASK, "GetTask"),
        ("GET", r"/tasks", "ListTasks"),
        ("POST", rf"{_TASK}/pushNotificationConfigs", "CreateTaskPushNotificationConfig"),
        ("GET", rf"{_TASK}/pushNotificationConfigs", "ListTaskPushNotificationConfigs"),
        ("GET", rf"{_TASK}/pushNotificationConfigs/[^/]+", "GetTaskPushNotificationConfig"),
        ("DELETE", rf"{_TASK}/pushNotificationConfigs/[^/]+", "DeleteTaskPushNotificationConfig"),
        ("GET", r"/(?:extendedAgentCard|v1/card)", "GetExtendedAgentCard"),
        ("GET", r"/\.well-known/agent(?:-card)?\.json", CARD),
    )
]
_MAX_PATH = 4096


def of_method(method: object) -> str:
    """The operation of a JSON-RPC method; one that the specification does not know keeps its name."""
    name = label(method)
    return _OF_03.get(name, name)


def of_path(method: str, path: str) -> tuple[str, str]:
    """``(operation, task id)`` of an HTTP+JSON request, each empty where the path tells none."""
    if len(path) > _MAX_PATH:
        return "", ""
    plain = unquote(path)
    for verb, pattern, operation in _REST:
        if verb == method and (found := pattern.search(plain)):
            return operation, label(found.group(1)) if pattern.groups else ""
    return "", ""
