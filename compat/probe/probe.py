"""Import modules inside an environment and record facts about them, without judging them.

The Python of the environment runs this file as `python -I probe.py TASK`. `compat` is not installed there, so
it needs only the standard library. TASK is a JSON file that names the modules and the file of records, to
which facts are appended, one JSON object per line. If this process crashes or hangs, the last record shows
the parent process what it was doing.
"""

from __future__ import annotations  # Python 3.9 runs it too

# ruff: noqa: BLE001 -- an imported module may raise anything, SystemExit included
# ruff: noqa: PTH123 -- an imported module may patch pathlib
import abc
import builtins
import contextlib
import ctypes
import dis
import gc
import importlib
import inspect
import json
import os
import platform
import select
import signal
import sys
import time
import traceback
import types
import typing
from typing import Any

ABSENT = object()

# The attributes in which decorators keep the function or class that they wrap.
WRAPPED = ("__wrapped__", "fn", "func", "_fn", "_init_fn", "_opoverload")

CLASS_FURNITURE = {
    "__module__", "__qualname__", "__doc__", "__dict__", "__weakref__", "__firstlineno__",
    "__static_attributes__", "__annotations__", "__annotate__", "__annotate_func__", "__annotations_cache__",
    "__abstractmethods__", "_abc_impl", "__orig_bases__", "__parameters__", "__protocol_attrs__",
    "__non_callable_proto_members__",
}  # fmt: skip

CONSTANTS = (bool, int, float, complex, str, bytes, type(None), type(...))
IDLE_BASES = {object, abc.ABC, typing.Protocol, typing.Any}

# The bytecode of a body that returns a constant or raises: it reads, stores and compares nothing.
TRIVIAL = {
    "RESUME", "NOP", "CACHE", "EXTENDED_ARG", "LOAD_CONST", "LOAD_SMALL_INT", "LOAD_COMMON_CONSTANT",
    "LOAD_GLOBAL", "LOAD_ASSERTION_ERROR", "PUSH_NULL", "PRECALL", "CALL", "CALL_FUNCTION",
    "RETURN_VALUE", "RETURN_CONST", "RAISE_VARARGS",
}  # fmt: skip


LONGEST_TRACEBACK = 20_000
"""Maximal number of characters of a recorded traceback; the end is kept."""


EXAMINED = 99
"""The exit code of a copy that has written its record; a module may exit with 0."""

FORK_SECONDS = 10.0
"""The time in which a copy of this process, which a module has forked, can report itself."""


class Records:
    """Appends records to a file, which is opened for each one, since a module may close any open file.

    A module may also replace functions that are used here, so they are kept. If a module forks and the copy
    goes on after the import, the copy writes a single record that reports this, and ends.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.owner = os.getpid()
        self.forked = False
        self.open, self.dumps, self.getpid, self.exit = open, json.dumps, os.getpid, os._exit
        os.register_at_fork(after_in_parent=self.note_fork)

    def note_fork(self) -> None:
        """Remember that this process has forked."""
        self.forked = True

    def write(self, event: str, **content: Any) -> None:
        if event == "module":
            self.wait_for_copies()
        if self.getpid() == self.owner:
            self.append({"event": event, **content})
            return
        self.append({"event": "forked", "module": content.get("module", "")})
        self.exit(0)

    def append(self, record: dict[str, Any]) -> None:
        """Write a record, with all of its bytes at once."""
        line = self.dumps(record) + "\n"
        with self.open(self.path, "ab", buffering=0) as stream:
            stream.write(line.encode("ascii"))

    def wait_for_copies(self) -> None:
        """Wait a moment for the copies of this process, so that the record of one comes first."""
        until = time.monotonic() + FORK_SECONDS
        while self.forked and self.getpid() == self.owner and time.monotonic() < until:
            try:
                ended, _ = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if not ended:
                time.sleep(0.02)
        self.forked = False


def machine() -> dict[str, Any]:
    """Return facts about this interpreter and, if it is installed, torch."""
    facts: dict[str, Any] = {"python": platform.python_version(), "platform": platform.platform()}
    try:
        torch = importlib.import_module("torch")
        facts["torch"] = str(torch.__version__)
        facts["cuda"] = bool(torch.cuda.is_available())
        if facts["cuda"]:
            facts["gpu"] = str(torch.cuda.get_device_name(0))
    except ModuleNotFoundError as error:
        if error.name != "torch":
            facts["torch_error"] = described(error)["text"]
    except BaseException as error:
        facts["torch_error"] = described(error)["text"]
    return facts


def described(error: BaseException) -> dict[str, str]:
    """Return an exception as its type, its last line, and the file and line that raised it."""
    lines = [line for line in traceback.format_exception_only(type(error), error) if not line.startswith(" ")]
    text = " ".join((lines or [type(error).__name__])[-1].split())
    for root in sys.path:
        text = text.replace(root + os.sep, "") if root else text
    frames = traceback.extract_tb(error.__traceback__)
    inside = [frame for frame in frames if "importlib" not in frame.filename and frame.filename != __file__]
    where = f"{short(inside[-1].filename)}:{inside[-1].lineno}" if inside else ""
    if isinstance(error, SyntaxError) and error.filename:
        where = f"{short(error.filename)}:{error.lineno}"
    return {"type": type(error).__name__, "text": text[:300], "where": where}


def whole(error: BaseException) -> str:
    """Return the traceback of an exception and its causes, or the end of a very long one."""
    try:
        lines = traceback.format_exception(type(error), error, error.__traceback__)
    except BaseException:  # formatting runs methods of the exception, which may raise
        return ""
    return "".join(lines)[-LONGEST_TRACEBACK:]


def short(path: str) -> str:
    """Return the path of a file below the folder on the import path that contains it."""
    roots = sorted((root for root in sys.path if root and path.startswith(root + os.sep)), key=len)
    return path[len(roots[-1]) + 1 :] if roots else path.rpartition(os.sep)[2]


def text_of(thing: object, attribute: str) -> str | None:
    """Return an attribute of an object if it is a string, or else None, even if reading it raises."""
    try:
        value = getattr(thing, attribute, None)
    except BaseException:
        return None
    return value if type(value) is str else None


def kind_of(value: object) -> str:
    """Return `module`, `class`, `function` or `value`."""
    if isinstance(value, types.ModuleType):
        return "module"
    if isinstance(value, type):
        return "class"
    return "function" if inspect.isroutine(value) else "value"


def trivial(function: types.FunctionType) -> bool:
    """Return whether a Python function only returns a constant or raises an exception."""
    code = function.__code__
    if any(instruction.opname not in TRIVIAL for instruction in dis.get_instructions(code)):
        return False
    names = (function.__globals__.get(name, getattr(builtins, name, None)) for name in code.co_names)
    return all(isinstance(value, type) and issubclass(value, BaseException) for value in names)


def hollow(cls: type) -> bool:
    """Return whether a class inherits no behaviour, and has only constants and methods that do nothing."""
    return set(cls.__bases__) <= IDLE_BASES and all(
        name in CLASS_FURNITURE or idle(value) for name, value in dict(vars(cls)).items()
    )


def idle(value: object) -> bool:
    """Return whether an attribute of a class is a constant or a method that does nothing."""
    function = getattr(value, "__func__", value)  # of a class method or static method
    if isinstance(function, types.FunctionType):
        return function.__module__ == "typing" or trivial(function)
    return isinstance(value, CONSTANTS)


def stub_of(value: object) -> str | None:
    """Return `none`, `any`, `object`, `hollow class` or `hollow function` for a stub, None for others."""
    if value is None:
        return "none"
    if value is typing.Any:
        return "any"
    if value is object:
        return "object"
    if isinstance(value, type):
        return "hollow class" if hollow(value) else None
    return "hollow function" if isinstance(value, types.FunctionType) and trivial(value) else None


def wrapped(value: object) -> str | None:
    """Return `module:qualname` of the function or class that the decorated object `value` wraps, or None."""
    seen: list[object] = []
    while len(seen) < 10 and not any(value is other for other in seen):
        seen.append(value)
        attributes = getattr(value, "__dict__", None)
        attributes = attributes if isinstance(attributes, (dict, types.MappingProxyType)) else {}
        inner = next((attributes[name] for name in WRAPPED if attributes.get(name) is not None), ABSENT)
        if inner is ABSENT:
            break
        value = inner
    if len(seen) < 2 or kind_of(value) not in ("function", "class"):
        return None
    return f"{text_of(value, '__module__')}:{text_of(value, '__qualname__')}"


def facts_of(value: object) -> dict[str, Any]:
    """Return the facts about a bound object that can be found without calling it."""
    facts = {
        "bound": True,
        "kind": kind_of(value),
        "type": f"{text_of(type(value), '__module__')}.{text_of(type(value), '__qualname__')}",
        "module": text_of(value, "__module__"),
        "qualname": text_of(value, "__qualname__" if kind_of(value) != "module" else "__name__"),
        "callable": callable(value),
    }
    marks = {"stub": stub_of(value), "wraps": wrapped(value)}
    return facts | {key: mark for key, mark in marks.items() if mark is not None}


def look_up(module: str, name: str) -> object:
    """Return the object that `from module import name` binds, or raise what it raises."""
    __import__(module, fromlist=(name,))
    found = getattr(sys.modules[module], name, ABSENT)
    if found is ABSENT:
        found = sys.modules.get(f"{module}.{name}", ABSENT)
    if found is ABSENT:
        raise ImportError(f"cannot import name {name!r} from {module!r}")
    return found


def at_origin(origin: str) -> object:
    """Return the object that an origin names: `module` or `module:name`."""
    module, _, name = origin.partition(":")
    importlib.import_module(module)
    return look_up(module, name) if name else sys.modules[module]


def compared(value: object, origin: str) -> dict[str, Any]:
    """Return whether `value` is identical to the object that `origin` names, or the error of its lookup."""
    try:
        return {"same": at_origin(origin) is value}
    except BaseException as error:
        return {"same": False, "origin_error": described(error)["text"]}


def name_facts(
    records: Records, module: str, namespace: dict[str, object], item: dict[str, Any]
) -> dict[str, Any]:
    """Return the facts about one expected name, after a record of this step if it may import modules."""
    name, origin = item["name"], item.get("origin")
    if name not in namespace or (origin and origin.partition(":")[0] not in sys.modules):
        records.write("step", module=module, name=name)
    try:
        value = look_up(module, name)
        return facts_of(value) | (compared(value, origin) if origin else {})
    except BaseException as error:
        return {"bound": False, "error": described(error)}


def unlisted(module: str, namespace: dict[str, object], listed: set[str]) -> dict[str, str]:
    """Return the bound names that are not listed, except dunder names and imported submodules."""
    found = {}
    for name, value in namespace.items():
        dunder = name.startswith("__") and name.endswith("__")
        submodule = isinstance(value, types.ModuleType) and sys.modules.get(f"{module}.{name}") is value
        if name not in listed and not dunder and not submodule:
            found[name] = f"{kind_of(value)} of {text_of(value, '__module__') or type(value).__module__}"
    return found


def examine(records: Records, task: dict[str, Any]) -> None:
    """Import one module, and record the facts about its names."""
    module, skip = task["module"], task.get("skip", {})
    records.write("start", module=module)
    begun = time.monotonic()
    try:
        importlib.import_module(module)
        namespace = dict(vars(sys.modules[module]))
    except BaseException as error:
        content = described(error) | {"traceback": whole(error)}
        records.write("module", module=module, imported=False, error=content)
        return
    names = {
        item["name"]: {"bound": False, "error": skip[item["name"]]}
        if item["name"] in skip
        else name_facts(records, module, namespace, item)
        for item in task["names"]
    }
    records.write(
        "module",
        module=module,
        imported=True,
        names=names,
        unlisted=unlisted(module, namespace, set(names)),
        seconds=round(time.monotonic() - begun, 3),
    )


def preload(records: Records, modules: list[str], seconds: float) -> None:
    """Import modules that others share, with a record of each, and leave out those that fail."""
    waiting = modules
    while waiting:
        good = importable(records, waiting, seconds)
        for module in waiting[:good]:
            records.append({"event": "preload", "module": module})
            importlib.import_module(module)
        waiting = waiting[good + 1 :]
        records.append({"event": "preload", "module": ""})
    gc.collect()
    gc.freeze()  # a collection in a copy would touch, and so copy, every page


def importable(records: Records, modules: list[str], seconds: float) -> int:
    """Return how many modules, in order, can be imported before one fails or hangs.

    A failed import leaves some modules behind, so a copy of this process tries them. A copy that can import
    all of them returns here and takes the place of this process, which then only ends as the copy does: most
    of the time that many modules need is their import, and no process repeats it.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.setpgid(0, 0)
        die_with_parent()
        os.close(reading)
        leave, write = os._exit, os.write
        try:
            for module in modules:
                importlib.import_module(module)
                write(writing, b".")
        except BaseException:
            leave(0)
        os.close(writing)
        records.owner, records.forked = os.getpid(), False
        return len(modules)
    os.close(writing)
    count = 0
    while select.select([reading], [], [], seconds)[0]:
        seen = os.read(reading, 1 << 16)
        if not seen:
            break
        count += len(seen)
        records.append({"event": "preload", "module": ""})  # the copy makes progress
    os.close(reading)
    if count == len(modules):
        end_as(child)
    end_group(child)
    return count


def end_as(child: int) -> typing.NoReturn:
    """Wait for the copy that has taken the place of this process, and end as it does."""
    _, status = os.waitpid(child, 0)
    number = os.WTERMSIG(status)
    if number:
        with contextlib.suppress(OSError):  # SIGKILL has no handler
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    os._exit(os.WEXITSTATUS(status))


def examine_forks(records: Records, tasks: list[dict[str, Any]], jobs: int, seconds: float) -> None:
    """Examine each module in a forked copy of this process, which knows nothing of the other modules.

    Args:
        records: the records, to which the copies append as well.
        tasks: the modules.
        jobs: how many copies run at once.
        seconds: the time after which a copy is killed.
    """
    waiting = tasks[::-1]
    running: dict[int, tuple[str, float]] = {}
    while waiting or running:
        while waiting and len(running) < jobs:
            task = waiting.pop()
            child = os.fork()
            if not child:
                examine_in_copy(records, task)
            running[child] = task["module"], time.monotonic() + seconds
        for child, (module, until) in list(running.items()):
            ended, status = os.waitpid(child, os.WNOHANG)
            if not ended and time.monotonic() < until:
                continue
            end_group(child)
            del running[child]
            how = how_ended(status) if ended else f"hung after {seconds:g} s"
            if how:
                error = {"type": "", "text": how, "where": ""}
                records.append({"event": "module", "module": module, "imported": False, "error": error})
        time.sleep(0.003)


def examine_in_copy(records: Records, task: dict[str, Any]) -> typing.NoReturn:
    """Examine one module in this copy of the process, and end it."""
    os.setpgid(0, 0)
    die_with_parent()
    records.owner, records.forked = os.getpid(), False
    leave = os._exit
    examine(records, task)
    leave(EXAMINED)


def how_ended(status: int) -> str:
    """Return how a copy died; empty if it has written its own record."""
    number = os.WTERMSIG(status)
    if number:
        return f"crashed: signal {number} ({signal.Signals(number).name})"
    code = os.WEXITSTATUS(status)
    return "" if code == EXAMINED else f"exited with code {code}"


def end_group(child: int) -> None:
    """Kill a copy and all processes that it has started."""
    with contextlib.suppress(OSError):
        os.killpg(child, signal.SIGKILL)
    with contextlib.suppress(OSError):
        os.waitpid(child, 0)


def die_with_parent() -> None:
    """Make Linux kill this process when its parent dies, even if the parent is killed."""
    set_parent_death_signal = 1
    ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)


def limit_output(room: int) -> None:
    """Limit the bytes that this process and its children can add to the log; further writes fail."""
    import resource  # `compat.load` uses this module on Windows, which lacks it

    limit = os.fstat(1).st_size + room
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))


def main() -> None:
    """Run the task, and exit without the exit handlers of imported modules."""
    die_with_parent()
    with open(sys.argv[1], encoding="utf-8") as stream:
        task = json.load(stream)
    records = Records(task["records"])
    if task.get("room"):
        limit_output(task["room"])
    if task.get("machine"):
        records.write("machine", **machine())
    jobs = task.get("jobs", 0)
    if jobs:
        preload(records, task["preload"], task["seconds"])
        examine_forks(records, task["modules"], jobs, task["seconds"])
    for module in task["modules"] if not jobs else ():
        examine(records, module)
    records.write("done")
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
