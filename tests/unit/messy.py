"""What launchers, loggers and terminals make of a log: each takes the bytes that a program wrote."""

import json
from collections.abc import Callable, Mapping

Mess = Callable[[bytes], bytes]


def each_line(before: bytes, after: bytes = b"") -> Mess:
    """Return a mess that puts something around every line."""

    def mess(log: bytes) -> bytes:
        return b"".join(before + line + after + b"\n" for line in log.split(b"\n"))

    return mess


def interleaved(log: bytes) -> bytes:
    """Two workers that fail alike, line by line."""
    lines = log.split(b"\n")
    tags = (b"(VllmWorker rank=0 pid=41) ", b"(VllmWorker rank=1 pid=42) ")
    return b"\n".join(tag + line for line in lines for tag in tags)


def wrapped(log: bytes) -> bytes:
    """The same failure, seen from a process that waits for the one that failed."""
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
    """A log that was cut in its first traceback: the header and the outermost frame are gone."""
    _, found, tail = log.partition(b"Traceback (most recent call last):\n")
    if not found or tail.partition(b"\n\n")[0].count(b"  File ") < 3:
        return log
    return tail[tail.index(b"  File ", tail.index(b"  File ") + 1) :]


def in_the_middle(log: bytes) -> bytes:
    """Much before it and much after it."""
    noise = b"".join(b"INFO 11-24 15:00:00 [metrics.py:1] step %d of 900\n" % number for number in range(900))
    return noise + log + b"\n" + noise


def wide(log: bytes) -> bytes:
    """The encoding of another system's redirected output."""
    return log.decode("utf-8", "replace").encode("utf-16")


def records(log: bytes) -> bytes:
    """What docker keeps: each line in a record in JSON."""
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
