"""Bind calls to the signatures of an installed pair, each in a forked process, and print one line per call.

Needs the standard library alone. Input: JSON, a list of `[path, method, positional, keywords, partial]`.
"""

import functools
import inspect
import json
import sys
from collections.abc import Callable

from scan_truth_runner import OfAnObject, forked, load, resolved


def main() -> int:
    """Bind the calls that stdin lists."""
    load()
    for asked in json.load(sys.stdin):
        print(f"OUTCOME {forked(functools.partial(outcome, *asked))}", flush=True)
    return 0


def outcome(path: str, method: str, positional: int, keywords: list[str], partial: bool) -> str:  # noqa: FBT001 -- JSON
    """Return `binds`, `refuses: why`, `hands on: names` (only `**kwargs` takes them), or what is not known.

    Args:
        path: the callee, or the class of the object whose method is called.
        method: the method; empty for a function or class.
        positional: the number of positional arguments.
        keywords: the names of the keyword arguments.
        partial: whether there may be more arguments.
    """
    try:
        callee = resolved("", path.split("."))
        signature = inspect.signature(_method(callee, method) if method else callee)  # type: ignore[arg-type]
    except OfAnObject:
        return "object"
    except BaseException as error:  # noqa: BLE001 -- any exception is the result
        return f"unknown: {type(error).__name__}: {error}"
    bind = signature.bind_partial if partial else signature.bind
    try:
        bind(*[None] * positional, **dict.fromkeys(keywords))
    except TypeError as error:
        return f"refuses: {error}"
    handed = [each for each in keywords if each not in signature.parameters]
    return f"hands on: {', '.join(handed)}" if handed else "binds"


def _method(of: object, name: str) -> Callable[..., object]:
    """Return a method of a class as an object of the class has it."""
    found = inspect.getattr_static(of, name)
    bound: Callable[..., object] = getattr(of, name)
    if isinstance(found, (staticmethod, classmethod)):
        return bound
    return functools.partial(bound, None)


if __name__ == "__main__":
    sys.exit(main())
