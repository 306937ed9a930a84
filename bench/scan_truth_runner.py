"""Execute imports inside an installed pair, each in a forked process, and print one line per import.

Needs the standard library alone. Input: JSON, a list of `[module, name, attributes]`.
"""

import contextlib
import functools
import importlib
import json
import os
import signal
import sys
import types
from collections.abc import Callable

LIMIT = 240
"""Time limit in seconds for one import."""


def main() -> int:
    """Execute the imports that stdin lists."""
    load()
    for asked in json.load(sys.stdin):
        print(f"OUTCOME {forked(functools.partial(outcome, *asked))}", flush=True)
    return 0


def load() -> None:
    """Import the modules that every forked process would import."""
    for module in ("torch", "vllm", "sglang", "vllm.entrypoints.llm", "sglang.srt.entrypoints.engine"):
        with contextlib.suppress(BaseException):
            importlib.import_module(module)


def forked(ask: Callable[[], str]) -> str:
    """Return the result of a function that runs in a forked process, as one line."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.close(reader)
        signal.alarm(LIMIT)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        os.write(writer, ask().encode()[:2000])
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        text = pipe.read().decode("utf-8", "replace").replace("\n", " ")
    os.waitpid(child, 0)
    return text or "killed: time or memory"


class OfAnObject(Exception):  # noqa: N818 -- no failure: the answer
    """The path leads to an attribute of a class or an object, which a scan does not check."""


def outcome(module: str, name: str, rest: list[str]) -> str:
    """Return `ok`, `ok stub`, or the exception of an import."""
    try:
        value = getattr(__import__(module, fromlist=[name]), name) if name else resolved(module, rest)
    except OfAnObject:
        return "object"
    except BaseException as error:  # noqa: BLE001 -- any exception is the result
        return f"{type(error).__name__}: {error}"
    stub = value is None or repr(value) == "typing.Any" or getattr(value, "__name__", "") == "DummyConfig"
    return "ok stub" if stub else "ok"


def resolved(module: str, rest: list[str]) -> object:
    """Return the object at the end of a path, and import modules on the way."""
    parts = [*(module.split(".") if module else []), *rest]
    value: object = importlib.import_module(parts[0])
    path = parts[0]
    for part in parts[1:]:
        path = f"{path}.{part}"
        try:
            value = getattr(value, part)
        except AttributeError:
            if type(value) is not types.ModuleType:  # vllm's stand-in for triton is of another type
                raise OfAnObject from None
            try:
                value = importlib.import_module(path)
            except ModuleNotFoundError as error:
                if error.name and not path.startswith(error.name):
                    raise
                message = f"{path} does not exist: {error}"
                raise AttributeError(message) from None
    return value


if __name__ == "__main__":
    sys.exit(main())
