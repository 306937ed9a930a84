"""The forms of an examination: text for people, JSON for programs."""

from compat._cli import console
from compat.doctor.checks import Checkup
from compat.doctor.gpu_driver import built_for, describe
from compat.explain import output


def as_text(checkup: Checkup) -> str:
    """Return what was examined, the findings, and what was noted besides."""
    examined = checkup.examined
    releases = ", ".join(f"{package} {version}" for package, version in examined.releases.items())
    torch, cuda = examined.packages.version("torch"), built_for(examined)
    lines = [
        f"python  {examined.markers['python_full_version']}  {examined.python}",
        f"releases  {releases}",
        f"torch  {torch or 'not installed'}" + (f", built for CUDA {cuda}" if cuda else ""),
        f"gpu  {describe(examined)}",
        f"compiled  {checkup.native.checked} modules built on torch, all symbols looked up",
    ]
    if checkup.looked is not None:
        looked = checkup.looked
        fine = looked.modules - len(looked.failed) - len(looked.unsure) - len(looked.late)
        lines.append(f"imports  {fine} of {looked.modules} quantization modules, {looked.symbols} symbols")
    count = len(checkup.findings)
    lines.append(f"findings  {count or 'none'}")
    text = "\n".join(lines)
    if checkup.findings:
        text += f"\n\n{output.as_text(checkup.findings)}"
    if checkup.notes:
        text += "\n\n" + "\n".join(f"note: {note}" for note in checkup.notes)
    return text


def as_json(checkup: Checkup) -> str:
    """Return the JSON document."""
    examined, looked = checkup.examined, checkup.looked
    imports = None
    if looked is not None:
        imports = {
            "modules": looked.modules,
            "failed": sorted(fact.module for fact in looked.failed),
            "unsure": sorted(fact.module for fact in looked.unsure),
            "late": sorted(fact.module for fact in looked.late),
            "stubs": sorted(f"{stub.module}:{stub.name}" for stub in looked.stubs),
            "symbols": looked.symbols,
        }
    return console.document(
        "doctor",
        python=examined.markers["python_full_version"],
        releases=examined.releases,
        torch={"version": examined.packages.version("torch"), "cuda": built_for(examined)},
        gpu={
            "devices": [str(device) for device in examined.driver.devices],
            "driver": examined.driver.version or None,
            "problem": examined.driver.problem or None,
        },
        compiled=checkup.native.checked,
        imports=imports,
        findings=[finding.as_document() for finding in checkup.findings],
        notes=list(checkup.notes),
    )
