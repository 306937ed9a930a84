"""Compare the table of adapters with the shipped index: every release must have the symbols it names."""

import ast
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

from compat.index.reader import Index
from compat.index.writer import SHIPPED
from compat.quant.backends import adapters
from compat.quant.backends.adapters import TABLE, Adapter, candidates, other_releases
from compat.quant.backends.required_symbols import (
    CLAIMED,
    REQUIRED_SYMBOLS,
    Package,
    RequiredSymbol,
    location,
)
from compat.quant.schemes import Awq, BlockInt8, Gptq, Scheme, W8A8Int8
from compat.resolve.api import Resolver
from quant_cases import SCHEMES

PACKAGES: tuple[Package, ...] = ("sglang", "vllm")


@pytest.fixture(scope="module")
def resolver() -> Resolver:
    return Resolver()


@pytest.fixture(scope="module")
def releases() -> dict[str, list[str]]:
    index = Index(SHIPPED)
    return {package: list(index.versions(package)) for package in PACKAGES}


def claimed(package: Package, releases: dict[str, list[str]]) -> list[str]:
    within = SpecifierSet(CLAIMED[package], prereleases=True)
    return [version for version in releases[package] if version in within]


USABLE = ("defined", "reexported", "conditional")


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.package}-{row.name}-{row.releases}")
def test_every_release_of_an_adapter_has_the_classes_that_it_names(
    row: Adapter, resolver: Resolver, releases: dict[str, list[str]]
) -> None:
    covered = [version for version in claimed(row.package, releases) if row.covers(version)]
    assert covered
    for name in [*([row.config] if row.config else []), *row.methods]:
        for version in covered:
            place = resolver.resolve(name, row.package, version).binding
            assert place is not None, f"{row.package} {version} has no {name}"
            assert place.answer.status in USABLE, (version, name, place)


@pytest.mark.parametrize("row", REQUIRED_SYMBOLS, ids=lambda row: f"{row.package}-{row.role}-{row.releases}")
def test_every_release_has_the_symbols_that_its_set_up_requires(
    row: RequiredSymbol, resolver: Resolver, releases: dict[str, list[str]]
) -> None:
    covered = [version for version in claimed(row.package, releases) if row.covers(version)]
    assert covered
    for version in covered:
        place = resolver.resolve(row.location, row.package, version).binding
        assert place is not None, f"{row.package} {version} has no {row.location}"
        assert place.answer.status in USABLE, (version, row.location, place)
        assert f"{place.module}:{place.name}" == row.location, (version, place)


def test_no_two_symbols_have_one_role_in_a_release(releases: dict[str, list[str]]) -> None:
    for package in PACKAGES:
        for version in claimed(package, releases):
            roles = [row.role for row in REQUIRED_SYMBOLS if row.package == package and row.covers(version)]
            assert sorted(roles) == sorted(set(roles)), version


def test_only_symbols_in_the_tables_are_loaded_from_a_package() -> None:
    """A symbol that is not in the tables could be missing from a release, and no test would notice."""
    asked = set()
    for file in Path(adapters.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "compat.load":
                asked.add((file.name, ast.unparse(node.args[0])))
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("load_symbol"):
                assert _roles(node.args[1]) <= {row.role for row in REQUIRED_SYMBOLS}, ast.unparse(node)
    assert asked == {("package_layer.py", "adapter.config"), ("process_setup.py", "where")}


def _roles(argument: ast.expr) -> set[str]:
    """Return the roles that an argument may evaluate to: a literal, or the computed one of the layers."""
    if isinstance(argument, ast.Constant):
        return {str(argument.value)}
    assert ast.unparse(argument) == """f"{spec.parallel or 'whole'} layer\""""
    return {f"{kind} layer" for kind in ("whole", "column", "row")}


def test_a_release_that_needs_no_arguments_has_no_symbol_for_them() -> None:
    role = "current server arguments"
    assert location("sglang", "0.4.7", role) is None
    assert location("sglang", "0.5.14", role) == "sglang.srt.server_args:get_global_server_args"
    assert location("sglang", "0.5.23", role) == "sglang.srt.runtime_context:get_server_args"


def lacking(package: Package, scheme: Scheme, releases: dict[str, list[str]]) -> list[str]:
    return [version for version in claimed(package, releases) if not candidates(package, version, scheme)]


@pytest.mark.parametrize("package", PACKAGES)
@pytest.mark.parametrize("scheme", SCHEMES, ids=lambda scheme: scheme.label)
def test_every_release_runs_every_scheme_except_those_that_its_package_dropped(
    package: Package, scheme: Scheme, releases: dict[str, list[str]]
) -> None:
    """Both packages dropped asymmetric GPTQ, and vllm dropped groups out of order.

    vllm never had a class for int8 in blocks.
    """
    without = lacking(package, scheme, releases)
    dropped = None
    if package == "vllm" and isinstance(scheme, BlockInt8):
        assert other_releases(package, scheme) == ()
        dropped = claimed(package, releases)[0]
    elif isinstance(scheme, Gptq) and not scheme.sym:
        dropped = "0.22.0" if package == "vllm" else "0.5.20"
    elif package == "vllm" and isinstance(scheme, Gptq) and scheme.desc_act:
        dropped = "0.30.0"
    everything = claimed(package, releases)
    assert without == ([] if dropped is None else everything[everything.index(dropped) :])


def test_the_fastest_adapter_comes_first() -> None:
    assert [row.name for row in candidates("sglang", "0.5.14", Gptq())] == ["gptq_marlin", "gptq"]
    assert [row.name for row in candidates("sglang", "0.5.14", Gptq(sym=False))] == ["gptq"]
    assert [row.name for row in candidates("vllm", "0.23.0", Awq())] == ["awq_marlin", "awq"]
    assert [row.name for row in candidates("vllm", "0.26.0", Awq())] == ["auto_awq"]


def test_settings_match_the_config_of_a_checkpoint() -> None:
    gptq = candidates("vllm", "0.23.0", Gptq(bits=8, group_size=64))[0].settings(
        Gptq(bits=8, group_size=64), "a.b"
    )
    assert gptq["modules_in_block_to_quantize"] == ["a.b"]
    assert (gptq["bits"], gptq["group_size"], gptq["sym"]) == (8, 64, True)
    int8 = candidates("vllm", "0.23.0", W8A8Int8())[0].settings(W8A8Int8(), "a.b")
    group = int8["config_groups"]["group_0"]
    assert (group["weights"]["strategy"], group["input_activations"]["strategy"]) == ("channel", "token")


@pytest.mark.parametrize(
    "row", [row for row in TABLE if row.borrowed], ids=lambda row: f"{row.package}-{row.name}"
)
def test_what_sglang_borrows_from_vllm_is_what_the_index_says(
    row: Adapter, resolver: Resolver, releases: dict[str, list[str]]
) -> None:
    """A module binds vllm's operators as `ops` for as long as it uses its kernels."""
    family, _, _ = row.name.partition("_")
    where = f"sglang.srt.layers.quantization.{family}:ops"
    covered = [version for version in claimed("sglang", releases) if row.covers(version)]
    borrowed = []
    for version in covered:
        place = resolver.resolve(where, "sglang", version).binding
        if place is not None and place.answer.status == "conditional":
            assert f"{place.module}:{place.name}" == where
            borrowed.append(version)
    assert borrowed
    assert [version for version in covered if row.borrows(version)] == borrowed
