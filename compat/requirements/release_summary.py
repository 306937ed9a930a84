"""A summary of the requirements of a release, cheap enough for a hundred releases in one answer."""

from __future__ import annotations

from compat._util.named_tuple import NamedTuple
from compat.model.package_names import KERNELS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from packaging.utils import NormalizedName
else:
    NormalizedName = str

PYTHON = "3.11"
"""The default Python version for requirements."""
SERVING = "srt"
"""The extra with the runtime of sglang up to 0.5.2; later releases require the runtime directly."""
KERNEL_PACKAGES = (
    *KERNELS,
    *("flashinfer-python", "flashinfer-cubin", "torch", "torchvision", "torchaudio"),
)
"""The distributions in a summary: compiled, large, and usually pinned exactly."""
ABI_BOUND = tuple(map(NormalizedName, ("torch", "torchvision", "torchaudio", "triton")))
"""torch and the packages compiled against one version of it. Others are soft: Python code,
or kernels that detect torch at run time."""


class Wanted(NamedTuple):
    """The version of one distribution that a release requires."""

    specifier: str
    """The specifier; empty for any version."""
    pin: str | None
    """The only allowed version if the specifier is an exact pin, else None."""

    def __str__(self) -> str:
        return self.pin or self.specifier or "any"


class ReleaseSummary(NamedTuple):
    """One release with its requirements on one Python version."""

    package: str
    version: str
    extras: tuple[str, ...]
    """The extras that the release needs to run."""
    uploaded: str | None
    """The upload date, in ISO format."""
    python: str
    """The specifier in Requires-Python; empty for any version."""
    wants: Mapping[str, Wanted]
    """The required distributions: the kernel packages, and others that the caller selected."""
    excluded: bool = False
    """Whether Requires-Python excludes the selected Python version."""
    day: int | None = None
    """The upload date as a number of days."""

    @property
    def release(self) -> str:
        """The release as text, without extras."""
        return f"{self.package} {self.version}"

    @property
    def final(self) -> bool:
        """Whether it is a final release."""
        return self.version.replace("post", "").replace(".", "").isdigit()

    @property
    def torch(self) -> str | None:
        """The version of torch that the release pins; None if it does not pin one."""
        wanted = self.wants.get("torch")
        return wanted.pin if wanted else None

    @property
    def kernels(self) -> dict[str, str]:
        """The required kernel packages, each with its version or specifier."""
        return {name: str(self.wants[name]) for name in KERNEL_PACKAGES if name in self.wants}

    def __str__(self) -> str:
        extras = f"[{','.join(self.extras)}]" if self.extras else ""
        return f"{self.package}{extras} {self.version}"
