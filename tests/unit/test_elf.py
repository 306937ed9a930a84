"""Reading shared libraries: the symbols that they need and define, and damage in any part."""

import random
import time
from contextlib import suppress
from pathlib import Path

import pytest

from compat._util.elf import Exports, places, read
from compat.errors import IntegrityError
from doctor_env import compiled

SOURCE = "int absent(void);\nint one(void) { return absent(); }\n"


@pytest.fixture
def library(tmp_path: Path) -> Path:
    return compiled(tmp_path, "one.so", SOURCE, "-Wl,--no-as-needed,--hash-style=gnu,-rpath,$ORIGIN/beside")


def defines(path: Path, symbol: str) -> bool:
    with Exports([path]) as exports:
        return exports.define(symbol)


def test_the_needed_and_defined_symbols_of_a_library_are_read(library: Path) -> None:
    found = read(library)
    assert "absent" in found.undefined
    assert "one" not in found.undefined
    assert found.search == (library.parent / "beside",)
    assert any(needed.startswith("libc.so") for needed in found.needed)
    assert (defines(library, "one"), defines(library, "absent")) == (True, False)


@pytest.mark.parametrize("damage", ["no buckets", "nothing but ones", "no library"])
def test_what_cannot_be_read_defines_nothing(library: Path, damage: str) -> None:
    ((start, size),) = places(library, [".gnu.hash"])
    content = library.read_bytes()
    if damage == "no buckets":
        content = content[:start] + bytes(size) + content[start + size :]
    elif damage == "nothing but ones":
        content = content[:start] + b"\xff" * size + content[start + size :]
    else:
        content = b"not a library"
    library.write_bytes(content)
    assert not defines(library, "one")


def test_damage_is_reported_or_harmless(library: Path) -> None:
    good = library.read_bytes()
    seed = time.time_ns()
    print(f"seed {seed}")
    source = random.Random(seed)  # noqa: S311 -- no secret
    for _ in range(300):
        damaged = bytearray(good[: source.randrange(len(good))] if source.random() < 0.3 else good)
        for _ in range(source.randrange(1, 8)):
            where = source.choice((source.randrange(0x700), source.randrange(len(good) - 0x800, len(good))))
            if where < len(damaged):
                damaged[where] = source.choice((0, 255, source.randrange(256)))
        library.write_bytes(damaged)
        defines(library, "one")
        with suppress(IntegrityError):
            read(library)
