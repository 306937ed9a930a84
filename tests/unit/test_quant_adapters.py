"""The table of adapters against the shipped index: what it names is there in every release it names."""

import pytest

from compat.index.reader import Index
from compat.index.writer import SHIPPED
from compat.quant.backends.adapters import TABLE, Adapter, Package, candidates, other_releases
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


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.package}-{row.name}-{row.releases}")
def test_what_a_row_names_is_in_every_release_of_it(
    row: Adapter, resolver: Resolver, releases: dict[str, list[str]]
) -> None:
    covered = [version for version in releases[row.package] if row.covers(version)]
    assert covered
    names = [*([row.config] if row.config else []), *row.methods]
    for version in (covered[0], covered[len(covered) // 2], covered[-1]):
        for name in names:
            place = resolver.resolve(name, row.package, version).place
            assert place is not None, f"{row.package} {version} has no {name}"
            assert place.answer.status in ("defined", "reexported", "conditional"), (version, name, place)


@pytest.mark.parametrize("package", PACKAGES)
@pytest.mark.parametrize("scheme", SCHEMES, ids=lambda scheme: scheme.label)
def test_every_release_has_a_way_or_none_does(
    package: Package, scheme: Scheme, releases: dict[str, list[str]]
) -> None:
    """Vllm has no class for int8 in blocks at all, and from 0.22 none for asymmetric GPTQ."""
    without = {
        version
        for version in releases[package]
        if candidates(package, version, Gptq()) and not candidates(package, version, scheme)
    }
    if package == "vllm" and isinstance(scheme, BlockInt8):
        assert other_releases(package, scheme) == ()
    elif package == "vllm" and isinstance(scheme, Gptq) and not scheme.sym:
        assert "0.21.0" not in without
        assert "0.22.0" in without
        assert other_releases(package, scheme) == (">=0.9.0.1,<0.22",)
    else:
        assert without == set()


def test_the_fastest_way_comes_first() -> None:
    assert [row.name for row in candidates("sglang", "0.5.14", Gptq())] == ["gptq_marlin", "gptq"]
    assert [row.name for row in candidates("sglang", "0.5.14", Gptq(sym=False))] == ["gptq"]
    assert [row.name for row in candidates("vllm", "0.23.0", Awq())] == ["awq_marlin", "awq"]
    assert [row.name for row in candidates("vllm", "0.26.0", Awq())] == ["auto_awq"]


def test_settings_are_what_a_checkpoint_would_say() -> None:
    gptq = candidates("vllm", "0.23.0", Gptq(bits=8, group_size=64))[0].settings(
        Gptq(bits=8, group_size=64), "a.b"
    )
    assert gptq["modules_in_block_to_quantize"] == ["a.b"]
    assert (gptq["bits"], gptq["group_size"], gptq["sym"]) == (8, 64, True)
    int8 = candidates("vllm", "0.23.0", W8A8Int8())[0].settings(W8A8Int8(), "a.b")
    group = int8["config_groups"]["group_0"]
    assert (group["weights"]["strategy"], group["input_activations"]["strategy"]) == ("channel", "token")
