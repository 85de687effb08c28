"""The Model Context Protocol over stdio, as far as a server with tools needs it: JSON-RPC 2.0, one message a line.

https://modelcontextprotocol.io/specification/2025-06-18: the lifecycle (initialize, initialized), ``ping``,
``tools/list`` and ``tools/call``. The official package would do it, too, with a web framework and 20 more packages.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

from procman.errors import StoresError

#: The newest first; a client that wants another one is offered it, and may leave.
VERSIONS: Final = ("2025-06-18", "2025-03-26", "2024-11-05")

# JSON-RPC 2.0, section 5.1
_PARSE_ERROR, _INVALID_REQUEST, _NO_METHOD, _INVALID_PARAMS, _INTERNAL = -32700, -32600, -32601, -32602, -32603


@dataclass(frozen=True, slots=True)
class Tool:
    """`work` gets the arguments and returns what is told as JSON; it raises `StoresError`, or ``ValueError``.

    `takes`: the properties of its arguments, as JSON Schema; `required` of them must be there.
    """

    name: str
    about: str
    work: Callable[[dict[str, Any]], dict[str, Any]]
    takes: Mapping[str, Any]
    required: tuple[str, ...] = ()
    changes: bool = False

    def to_json(self) -> dict[str, Any]:
        """As ``tools/list`` tells it."""
        schema = {"type": "object", "properties": dict(self.takes), "required": [*self.required]}
        hints = {"readOnlyHint": not self.changes, "destructiveHint": False, "idempotentHint": True}
        return {
            "name": self.name,
            "description": self.about,
            "inputSchema": {**schema, "additionalProperties": False},
            "annotations": {**hints, "openWorldHint": False},
        }


class ProtocolError(ValueError):
    """A message that is not answered but by an error; `code` as JSON-RPC has it."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class McpServer:
    """Answers one client. A call has a thread of its own, so that a start that takes a minute holds up no question."""

    def __init__(self, tools: list[Tool], version: str, reads: BinaryIO, writes: BinaryIO) -> None:
        """`version`: this program's; `reads`, `writes`: binary, one JSON object a line."""
        self._tools = {tool.name: tool for tool in tools}
        self._version = version
        self._reads = reads
        self._writes = writes
        self._writing = threading.Lock()

    def serve(self) -> None:
        """Until the client closes its end. What it still waits for then, nobody waits for any more."""
        for line in self._reads:
            if line.strip():
                self._take(line)

    def _take(self, line: bytes) -> None:
        try:
            message = json.loads(line)
        except ValueError:
            self._refuse(None, _PARSE_ERROR, "this line is no JSON")
            return
        if not isinstance(message, dict) or not isinstance(message.get("method"), str):
            if not (isinstance(message, dict) and {"result", "error"} & message.keys()):  # we ask nothing
                self._refuse(None, _INVALID_REQUEST, "this is no request")
        elif "id" in message:  # what has none is a notification, and none of them needs an answer
            threading.Thread(target=self._answer, args=(message,), daemon=True).start()

    def _answer(self, message: dict[str, Any]) -> None:
        try:
            parameters = message.get("params") or {}
            if not isinstance(parameters, dict):
                raise ProtocolError(_INVALID_PARAMS, "params has to be an object")  # noqa: TRY301 (answered here)
            result = self._result(message["method"], parameters)
        except ProtocolError as error:
            self._refuse(message["id"], error.code, str(error))
        except Exception as error:  # noqa: BLE001 (a client must not wait for ever)
            self._refuse(message["id"], _INTERNAL, f"a fault of stores itself: {error!r}")
        else:
            self._write({"jsonrpc": "2.0", "id": message["id"], "result": result})

    def _result(self, method: str, parameters: dict[str, Any]) -> dict[str, Any]:
        if method == "initialize":
            wanted = parameters.get("protocolVersion")
            return {
                "protocolVersion": wanted if wanted in VERSIONS else VERSIONS[0],
                "capabilities": {"tools": {"listChanged": False}},
                "serverInfo": {"name": "stores", "version": self._version},
                "instructions": _INSTRUCTIONS,
            }
        if method == "ping":
            return {}
        if method == "tools/list":
            return {"tools": [tool.to_json() for tool in self._tools.values()]}
        if method == "tools/call":
            return self._call(parameters)
        raise ProtocolError(_NO_METHOD, f"{method} is not known here")

    def _call(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """A tool that fails is a result that says so: the model shall read it (section "Error handling")."""
        tool = self._tools.get(str(parameters.get("name")))
        if tool is None:
            raise ProtocolError(_INVALID_PARAMS, f"there is no tool {parameters.get('name')!r}")
        try:
            told = tool.work(checked(tool, parameters.get("arguments") or {}))
        except StoresError as error:
            return _text(f"{error.message}\n{error.hint}".strip(), failed=True)
        except ValueError as error:
            return _text(str(error), failed=True)
        return {**_text(json.dumps(told, indent=1, ensure_ascii=False)), "structuredContent": told}

    def _refuse(self, number: Any, code: int, message: str) -> None:
        self._write({"jsonrpc": "2.0", "id": number, "error": {"code": code, "message": message}})

    def _write(self, message: dict[str, Any]) -> None:
        line = json.dumps(message, separators=(",", ":")).encode() + b"\n"
        with self._writing:
            self._writes.write(line)
            self._writes.flush()


_INSTRUCTIONS: Final = """The local development services of this workspace, run by `stores` behind one gateway. Look at
`status` first. After a change of code that needs it, `restart` the service, then read its `logs`; `recent_failures`
says what went wrong of late, and `routes` what answers each host: local, the remote, or a page of the gateway. To see
what goes over the wire, `inspect` a service, make the request again, and read `requests` and one `request`."""

_KINDS: Final[dict[str, type]] = {"array": list, "integer": int, "string": str}


def checked(tool: Tool, arguments: Any) -> dict[str, Any]:
    """The arguments, if they are what the tool says. Raises ``ValueError``."""
    if not isinstance(arguments, dict):
        raise ValueError("arguments has to be an object")  # noqa: TRY004 (the value is wrong)
    for name in tool.required:
        if not arguments.get(name):
            raise ValueError(f"{name} is missing: {tool.takes[name]['description']}")
    for name, value in arguments.items():
        if name not in tool.takes:
            raise ValueError(f"{name} is not known; there is: {', '.join(tool.takes) or 'nothing'}")
        kind = tool.takes[name]["type"]
        inner = value if isinstance(value, list) else []
        fits = isinstance(value, _KINDS[kind]) and not isinstance(value, bool)  # a bool is an int to Python
        if not fits or not all(isinstance(one, str) for one in inner):
            raise ValueError(f"{name} has to be {'a list of strings' if kind == 'array' else f'of type {kind}'}")
    return arguments


def _text(text: str, *, failed: bool = False) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": text}], "isError": failed}
