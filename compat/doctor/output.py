"""The output of `compat doctor`: a report as text for people, or as a JSON document."""

from compat._cli import console
from compat._cli.printable import printable
from compat.doctor.checks import DoctorReport
from compat.doctor.gpu_driver import built_for, describe
from compat.explain import output


def as_text(report: DoctorReport) -> str:
    """Return the report as text: a summary of the environment, the findings and the notes."""
    environment = report.environment
    releases = ", ".join(f"{package} {version}" for package, version in environment.releases.items())
    torch, cuda = environment.packages.version("torch"), built_for(environment)
    lines = [
        f"python  {environment.markers['python_full_version']}  {environment.python}",
        f"releases  {releases}",
        f"torch  {torch or 'not installed'}" + (f", built for CUDA {cuda}" if cuda else ""),
        f"gpu  {describe(environment)}",
        f"compiled  {report.native.checked} modules built on torch, all symbols looked up",
    ]
    if report.import_results is not None:
        results = report.import_results
        fine = results.modules - len(results.failed) - len(results.unsure) - len(results.late)
        lines.append(f"imports  {fine} of {results.modules} quantization modules, {results.symbols} symbols")
    count = len(report.findings)
    lines.append(f"findings  {count or 'none'}")
    text = "\n".join(map(printable, lines))
    if report.findings:
        text += f"\n\n{output.as_text(report.findings)}"
    if report.notes:
        text += "\n\n" + "\n".join(f"note: {printable(note)}" for note in report.notes)
    return text


def as_json(report: DoctorReport) -> str:
    """Return the report as the JSON document of `compat doctor`."""
    environment, results = report.environment, report.import_results
    imports = None
    if results is not None:
        imports = {
            "modules": results.modules,
            "failed": sorted(fact.module for fact in results.failed),
            "unsure": sorted(fact.module for fact in results.unsure),
            "late": sorted(fact.module for fact in results.late),
            "stubs": sorted(f"{stub.module}:{stub.name}" for stub in results.stubs),
            "symbols": results.symbols,
        }
    return console.document(
        "doctor",
        python=environment.markers["python_full_version"],
        releases=environment.releases,
        torch={"version": environment.packages.version("torch"), "cuda": built_for(environment)},
        gpu={
            "devices": [str(device) for device in environment.driver.devices],
            "driver": environment.driver.version or None,
            "problem": environment.driver.problem or None,
        },
        compiled=report.native.checked,
        imports=imports,
        findings=[finding.as_document() for finding in report.findings],
        notes=list(report.notes),
    )
