"""Read the GPU architectures that a shared library contains machine code or PTX for, without loading it.

NVIDIA does not document the layout. It was derived from one kernel, compiled with nvcc 13.0 for sm_80, sm_90,
sm_90a, sm_100f, compute_120 and sm_120a.
"""

import mmap
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from compat._util.elf import places
from compat.errors import IntegrityError

SECTIONS = (".nv_fatbin", "__nv_relfatbin")
MAGIC = 0xBA55ED50
_CONTAINER = struct.Struct("<IHHQ")
"""Magic number, version, size of this header, size of the entries after it."""
_ENTRY = struct.Struct("<H2xIQ12xI8xQ")
"""Kind, size of this header, size of the code after it, architecture, flags."""
_PTX, _BINARY = 1, 2
_ONE_ARCHITECTURE, _FAMILY = 1 << 20, 1 << 21
"""Flags: code for exactly this architecture (`sm_90a`), or for its family (`sm_100f`)."""

Capability = tuple[int, int]
"""Compute capability of a GPU, `(major, minor)`."""


class Code(NamedTuple):
    """One architecture that a library has code for: `sm_90a` (machine code) or `compute_90` (PTX)."""

    capability: Capability
    suffix: str = ""
    ptx: bool = False

    def __str__(self) -> str:
        major, minor = self.capability
        return f"{'compute' if self.ptx else 'sm'}_{major}{minor}{self.suffix}"

    def runs_on(self, gpu: Capability) -> bool:
        """Return whether a GPU can run the code.

        Machine code runs on GPUs of the same major version and the same or a higher minor version. PTX, which
        the driver compiles, runs on all GPUs of the same or a higher capability. The suffix `a` restricts
        both to one capability, `f` to one major version
        (https://docs.nvidia.com/cuda/cuda-c-programming-guide/, "Compute Capability" and "Feature Sets").
        """
        if self.suffix == "a":
            return gpu == self.capability
        if self.ptx and not self.suffix:
            return gpu >= self.capability
        return gpu[0] == self.capability[0] and gpu >= self.capability


def code(path: Path) -> frozenset[Code]:
    """Return the architectures that a shared library has GPU code for; empty if it has none.

    Raises:
        IntegrityError: the file is not a shared library, or is damaged.
    """
    found: set[Code] = set()
    spans = places(path, SECTIONS)
    try:
        if spans:
            with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as memory:
                for start, size in spans:
                    found.update(_entries(memory, start, min(start + size, len(memory))))
    except (OSError, ValueError, struct.error) as error:
        raise IntegrityError(f"{path}: its GPU code cannot be read ({error})") from None
    return frozenset(found)


def _entries(memory: mmap.mmap, at: int, end: int) -> Iterator[Code]:
    """Yield the architecture of each entry between two offsets; containers are padded to 8 bytes."""
    while at + _CONTAINER.size <= end:
        magic, _, header, size = _CONTAINER.unpack_from(memory, at)
        if magic != MAGIC:
            at += 8
            continue
        if header < _CONTAINER.size:
            raise ValueError(f"the container at {at} has a header of {header} bytes")
        entry, at = at + header, at + header + size
        while entry + _ENTRY.size <= min(at, end):
            kind, header, size, architecture, flags = _ENTRY.unpack_from(memory, entry)
            if header < _ENTRY.size:
                raise ValueError(f"the entry at {entry} has a header of {header} bytes")
            if kind in (_PTX, _BINARY):
                suffix = "a" if flags & _ONE_ARCHITECTURE else "f" if flags & _FAMILY else ""
                yield Code(divmod(architecture, 10), suffix, kind == _PTX)
            entry += header + size
