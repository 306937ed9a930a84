"""Requirements that a distribution enforces while it is imported: with another version it refuses."""

import ast
import re
from typing import NamedTuple

from packaging.requirements import InvalidRequirement, Requirement

from compat.companions.extract.wheel_modules import WheelModules

_TABLE, _CHECK = "dependency_versions_table", "dependency_versions_check"
_NUMPY_LIMIT = re.compile(r"numpy_version > \((\d+), (\d+)\)")

_GENERATED = {
    "_pb2": re.compile(r"ValidateProtobufRuntimeVersion\(\s*[\w.]+,\s*(\d+),\s*(\d+),\s*(\d+),"),
    "_pb2_grpc": re.compile(r"^GRPC_GENERATED_VERSION = '(\d+)\.(\d+)\.(\d+)'", re.MULTILINE),
}
"""The compiler's version in generated code, by the end of the module's name: it refuses older runtimes."""
_RUNTIME = {"_pb2": "protobuf", "_pb2_grpc": "grpcio"}
_PYDANTIC_CORE = re.compile(r"^_COMPATIBLE_PYDANTIC_CORE_VERSION = '([\w.]+)'", re.MULTILINE)
_PYDANTIC_CHECK = re.compile(r"^_ensure_pydantic_core_version\(\)", re.MULTILINE)
_FLASHINFER_PART = re.compile(r"\bflashinfer[-_](cubin|jit[-_]cache)\b")
_MISMATCH = "does not match"


class ImportCheck(NamedTuple):
    """One requirement that an import enforces."""

    module: str
    """The module whose import refuses."""
    requirement: str


def read_import_checks(modules: WheelModules) -> tuple[ImportCheck, ...]:
    """Return the requirements that the packages of a release enforce when they are imported, sorted."""
    found: list[ImportCheck] = []
    for top in modules.imports:
        if modules.form(f"{top}.{_TABLE}") and modules.form(f"{top}.{_CHECK}"):
            found += _from_table(
                top, _source(modules, f"{top}.{_CHECK}"), _source(modules, f"{top}.{_TABLE}")
            )
        if top == "numba":
            found += _from_numba(_source(modules, top))
        if top == "flashinfer":
            found += _from_flashinfer(
                _source(modules, "flashinfer.jit.env"), str(modules.wheel.wheel.version)
            )
        if top == "pydantic" and _PYDANTIC_CHECK.search(_source(modules, top)):
            core = _PYDANTIC_CORE.search(_source(modules, "pydantic.version"))
            found += [ImportCheck("pydantic", f"pydantic-core=={core[1]}")] if core else []
    return tuple(sorted(found))


def enforced_by(module: str, modules: WheelModules) -> str | None:
    """Return the requirement that generated code enforces when it is imported; None for other modules."""
    ending = next((each for each in _GENERATED if module.endswith(each)), None)
    found = _GENERATED[ending].search(_source(modules, module)) if ending else None
    return f"{_RUNTIME[ending]}>={'.'.join(found.groups())}" if ending and found else None


def _from_table(top: str, check: str, table: str) -> list[ImportCheck]:
    """Return the checked lines of the table that transformers and diffusers generate from their set-up."""
    names = _texts_of(check, "pkgs_to_check_at_runtime")
    lines = _texts_of(table, "deps")
    found = []
    for line in lines:
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            continue
        if requirement.name in names and requirement.specifier:
            found.append(ImportCheck(top, f"{requirement.name}{requirement.specifier}"))
    return found


def _texts_of(source: str, name: str) -> set[str]:
    """Return the texts in the value that a module assigns to a name."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return set()
    found: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(
            isinstance(target, ast.Name) and target.id == name for target in node.targets
        ):
            for each in ast.walk(node.value):
                match each:
                    case ast.Constant(value=str() as text):
                        found |= set(text.split()) if " " in text and "=" not in text else {text}
    return found


def _from_numba(source: str) -> list[ImportCheck]:
    """Return the newest NumPy for which numba does not raise an ImportError."""
    found = _NUMPY_LIMIT.search(source)
    return [ImportCheck("numba", f"numpy<{found[1]}.{int(found[2]) + 1}")] if found else []


def _from_flashinfer(source: str, version: str) -> list[ImportCheck]:
    """Return the packages of compiled kernels that flashinfer takes in its own version only."""
    if _MISMATCH not in source:
        return []
    names = {found.replace("_", "-") for found in _FLASHINFER_PART.findall(source)}
    return [ImportCheck("flashinfer", f"flashinfer-{name}=={version}") for name in sorted(names)]


def _source(modules: WheelModules, module: str) -> str:
    return (modules.source(module) or b"").decode(errors="replace")
