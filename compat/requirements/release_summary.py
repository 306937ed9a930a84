"""A release with what people ask of its requirements: light enough for a hundred of them in one answer."""

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
"""For which the requirements are read unless another is asked for."""
SERVING = "srt"
"""The extra that held sglang's own runtime up to 0.5.2; later releases ask for it without one."""
KERNEL_PACKAGES = (
    *KERNELS,
    *("flashinfer-python", "flashinfer-cubin", "torch", "torchvision", "torchaudio"),
)
"""What people ask for when they ask what goes with a release: compiled, large, and exactly pinned."""
ABI_BOUND = tuple(map(NormalizedName, ("torch", "torchvision", "torchaudio", "triton")))
"""torch and what is compiled against one version of it: these move together. All else is soft: Python code,
or kernels that find their torch at run time."""


class Wanted(NamedTuple):
    """What a release requires of one distribution."""

    specifier: str
    """Empty for any version."""
    pin: str | None
    """The one version that it allows, when it is an exact pin."""

    def __str__(self) -> str:
        return self.pin or self.specifier or "any"


class ReleaseSummary(NamedTuple):
    """One release with what it requires on one Python."""

    package: str
    version: str
    extras: tuple[str, ...]
    """The extras without which it does not run."""
    uploaded: str | None
    """ISO date."""
    python: str
    """The specifier of Requires-Python; empty for any."""
    wants: Mapping[str, Wanted]
    """Distributions that it requires: the kernel packages, and others that were asked about."""
    excluded: bool = False
    """Whether Requires-Python does not admit the Python that was asked about."""
    day: int | None = None
    """When it was uploaded, as a number of days."""

    @property
    def release(self) -> str:
        """The release for people, without extras."""
        return f"{self.package} {self.version}"

    @property
    def final(self) -> bool:
        """Whether it is not a pre-release."""
        return self.version.replace("post", "").replace(".", "").isdigit()

    @property
    def torch(self) -> str | None:
        """The version of torch that it pins, when it pins one."""
        wanted = self.wants.get("torch")
        return wanted.pin if wanted else None

    @property
    def kernels(self) -> dict[str, str]:
        """The kernel packages that it requires, each with its version or specifier."""
        return {name: str(self.wants[name]) for name in KERNEL_PACKAGES if name in self.wants}

    def __str__(self) -> str:
        extras = f"[{','.join(self.extras)}]" if self.extras else ""
        return f"{self.package}{extras} {self.version}"
