"""Which torch an extension is built for, as the releases require it."""

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from compat.explain.context import RuleContext
from compat.explain.lookup.requirement_violations import demands, of_release
from compat.model.releases import KERNELS, SGLANG, allows
from compat.requirements.specifiers import pinned


def torch_pin(context: RuleContext, package: str | None) -> tuple[str, str] | None:
    """Return the release that pins torch for an extension, and the pin; None if no pin applies."""
    found = [each for each in demands(context, "torch") if str(each.requirement.specifier).startswith("==")]
    own = [each for each in found if each.by == package]
    near = [each for each in found if package in ("sgl-kernel", "sglang-kernel") and each.by == "sglang"]
    if package in KERNELS and not own and not near:
        return _pin_beside(context, package)
    others = [] if package in ("vllm", "sgl-kernel") else found
    if package is None and len({each.requirement.specifier for each in found}) > 1:
        others = []  # the extension may be of either release
    best = next(iter([*own, *near] or others), None)
    return (f"{best.by} {best.version}", str(best.requirement.specifier)) if best else None


def has_it(context: RuleContext, pin: tuple[str, str]) -> bool:
    """Return whether the torch of a pin is installed, so that the extension must be from another build."""
    torch = context.known("torch")
    return torch is not None and allows(SpecifierSet(pin[1]), torch.version)


def torch_lines(context: RuleContext, pin: tuple[str, str] | None) -> list[str]:
    """Return the torch that an extension is built for and the known one, as lines of evidence."""
    torch = context.known("torch")
    lines = [f"{pin[0]} is built for torch{pin[1]}"] if pin else []
    return [*lines, f"torch {torch.version}: {torch.source}"] if torch else lines


def _pin_beside(context: RuleContext, kernels: str) -> tuple[str, str] | None:
    """Return the torch that all sglang releases pin which pin the known version of their kernels."""
    known = context.known(kernels)
    if known is None:
        return None
    version, pins = Version(known.version.partition("+")[0]), set()
    for at in range(len(context.index.versions(SGLANG))):
        needs = list(of_release(context, SGLANG, at, kernels))
        if any(pinned(each.requirement.specifier) == version for each in needs):
            pins |= {str(each.requirement.specifier) for each in of_release(context, SGLANG, at, "torch")}
    exact = [each for each in pins if each.startswith("==")]
    return (f"{kernels} {version}", exact[0]) if len(exact) == 1 else None
