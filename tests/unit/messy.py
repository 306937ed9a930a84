"""Functions that change a log as launchers, loggers and terminals do; each takes and returns bytes."""

import json
from collections.abc import Callable, Mapping

Mess = Callable[[bytes], bytes]


def each_line(before: bytes, after: bytes = b"") -> Mess:
    """Return a function that adds a prefix and a suffix to every line."""

    def mess(log: bytes) -> bytes:
        return b"".join(before + line + after + b"\n" for line in log.split(b"\n"))

    return mess


def interleaved(log: bytes) -> bytes:
    """Interleave the lines of two workers that fail in the same way."""
    lines = log.split(b"\n")
    tags = (b"(VllmWorker rank=0 pid=41) ", b"(VllmWorker rank=1 pid=42) ")
    return b"\n".join(tag + line for line in lines for tag in tags)


def wrapped(log: bytes) -> bytes:
    """Add the traceback of a process that waits for the failed one."""
    return (
        log.rstrip()
        + b"""

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "/home/user/run.py", line 9, in <module>
    main()
  File "/home/user/run.py", line 5, in main
    raise RuntimeError("Engine core initialization failed. See root cause above.")
RuntimeError: Engine core initialization failed. See root cause above.
"""
    )


def beheaded(log: bytes) -> bytes:
    """Remove everything up to the header and the outermost frame of the first traceback."""
    _, found, tail = log.partition(b"Traceback (most recent call last):\n")
    if not found or tail.partition(b"\n\n")[0].count(b"  File ") < 3:
        return log
    return tail[tail.index(b"  File ", tail.index(b"  File ") + 1) :]


def in_the_middle(log: bytes) -> bytes:
    """Add many lines before and after the log."""
    noise = b"".join(b"INFO 11-24 15:00:00 [metrics.py:1] step %d of 900\n" % number for number in range(900))
    return noise + log + b"\n" + noise


def wide(log: bytes) -> bytes:
    """Encode the log as UTF-16, like redirected output on Windows."""
    return log.decode("utf-8", "replace").encode("utf-16")


def records(log: bytes) -> bytes:
    """Write each line as a JSON record, like docker."""
    lines = log.decode("utf-8", "replace").splitlines(keepends=True)
    return "\n".join(json.dumps({"log": line, "stream": "stderr"}) for line in lines).encode()


MESSES: Mapping[str, Mess] = {
    "colours": each_line(b"\x1b[36m", b"\x1b[0m"),
    "windows": lambda log: log.replace(b"\n", b"\r\n"),
    "rank": each_line(b"[rank0]: "),
    "worker": each_line(b"(VllmWorker rank=0 pid=41) ERROR 11-24 15:00:00 [core.py:400] "),
    "engine": each_line(b"\x1b[0;36m(EngineCore_DP0 pid=77)\x1b[0;0m ERROR 11-24 15:00:00 [core.py:700] "),
    "ray": each_line(b"\x1b[36m(RayWorkerWrapper pid=123, ip=10.0.0.3)\x1b[0m "),
    "sglang": each_line(b"[2026-11-24 15:00:00 TP0] "),
    "docker": each_line(b"2026-11-24T15:00:00.123456789Z "),
    "compose": each_line(b"worker-1  | "),
    "journal": each_line(b"Nov 24 15:00:00 node7 python[4242]: "),
    "logging": each_line(b"2026-11-24 15:00:00,123 ERROR "),
    "quoted": each_line(b"> "),
    "box": each_line("\u2502 ".encode(), "     \u2502".encode()),
    "records": records,
    "interleaved": interleaved,
    "wrapped": wrapped,
    "beheaded": beheaded,
    "long": in_the_middle,
    "wide": wide,
}
