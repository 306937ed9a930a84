"""Keep the files of the current folder out of the imports of a server."""

import os
import sys
from contextlib import suppress


def leave_current_folder() -> None:
    """Remove the current folder from the front of `sys.path`, where "python -m" puts it.

    A server that an agent or an editor starts in a project must not import the project's files, such as an
    `mcp.py`, in place of the libraries that it needs.
    """
    with suppress(FileNotFoundError):  # the current folder was deleted
        if sys.path and sys.path[0] in ("", os.getcwd()):  # noqa: PTH109 -- compared as it is written
            del sys.path[0]
