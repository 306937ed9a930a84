"""The server: it offers the tools through the SDK of the protocol, one call at a time."""

from collections.abc import Callable
from functools import wraps
from threading import Lock

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations

from compat import __version__
from compat._cli.printable import printable
from compat.errors import CompatError
from compat.mcp.output import cut
from compat.mcp.tools import TOOLS

INSTRUCTIONS = (
    "Facts about every release of vllm and sglang, from an index of their sources. Before you write an "
    "import of vllm or sglang, resolve it for the project's release; when one fails, explain the traceback."
)

LONGEST_ANSWER, LONGEST_MESSAGE = 20_000, 1_000
"""Characters; only an answer that repeats a huge input is longer."""


def make_server() -> MCPServer:
    """Return a server with all tools."""
    server = MCPServer(
        "compat",
        version=__version__,
        instructions=INSTRUCTIONS,
        log_level="WARNING",  # at INFO, the SDK logs each refused call, whatever its size
    )
    lock = Lock()
    for tool in TOOLS:
        server.add_tool(
            _guarded(tool, lock),
            annotations=ToolAnnotations(read_only_hint=True, open_world_hint=False),
            structured_output=False,
        )
    return server


def _guarded(tool: Callable[..., str], lock: Lock) -> Callable[..., str]:
    """Return a tool that waits for other calls, and reports a known error by its message."""

    @wraps(tool)
    def guarded(*args: object, **options: object) -> str:
        with lock:
            try:
                return cut(tool(*args, **options), LONGEST_ANSWER)
            except CompatError as error:
                raise ToolError(cut(printable(str(error)), LONGEST_MESSAGE)) from None

    return guarded
