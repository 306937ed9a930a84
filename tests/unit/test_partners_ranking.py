"""`compat pairs --for` with real releases, from the shipped index alone."""

import json
from collections.abc import Collection

import pytest
from packaging.specifiers import SpecifierSet
from packaging.utils import NormalizedName, canonicalize_name

from compat import errors
from compat._cli import console
from compat.companions.reader import Companions
from compat.index.reader import Index
from compat.model.releases import SGLANG, VLLM
from compat.pairs.cli import main
from compat.partners.clashes import direct_clashes
from compat.partners.indirect_clashes import known_requirements, predicted_clashes, ranked_clashes
from compat.partners.overrides import choose, flipped
from compat.partners.ranking import rank, users_of
from compat.requirements.release_requirements import ReleaseRequirements, requirements_of

NEVER = SpecifierSet("==0.0.1")
"""What no release requires."""


@pytest.fixture(scope="module")
def index() -> Index:
    return Index()


def asked(index: Index, package: NormalizedName, version: str, python: str = "3.11") -> ReleaseRequirements:
    """Return what a release asks for, parsed from its metadata."""
    row = index.releases(package)[index.release_index(package, version, "")]
    return requirements_of(package, row, python)


def run(*argv: str) -> int:
    return console.run(main, argv)


@pytest.mark.parametrize(
    ("package", "version"), [(SGLANG, "0.4.7"), (SGLANG, "0.5.14"), (SGLANG, "0.5.22"), (VLLM, "0.26.0")]
)
def test_the_order_is_time_then_modules_then_torch_then_overrides_then_date(
    index: Index, package: str, version: str
) -> None:
    mine, partners = rank(index, canonicalize_name(package), version, "3.11")
    usable = [partner for partner in partners if not partner.problem]
    torch = ["exact", "patch", "other"].index
    keys = [
        (
            abs(partner.days) > 365,
            partner.broken_modules,
            torch(partner.same_torch),
            len(partner.clashes),
            abs(partner.days),
        )
        for partner in usable
    ]
    assert keys == sorted(keys)
    assert len(usable) > 20
    assert {partner.candidate.package for partner in partners} == {VLLM if package == SGLANG else SGLANG}
    assert (usable[0].same_torch == "exact") == any(
        partner.candidate.torch == mine.torch for partner in usable
    )


def test_a_pair_whose_server_cannot_start_is_not_ranked(index: Index) -> None:
    """The quantization package of sglang 0.4.0 imports six modules that vllm 0.17.0 does not have."""
    _, partners = rank(index, VLLM, "0.17.0", "3.11")
    (partner,) = (each for each in partners if each.candidate.version == "0.4.0")
    assert partner.problem.startswith("sglang.srt.layers.quantization imports vllm.")
    assert not partner.wrong_python


def test_the_known_pairs_clash_as_they_are_known_to(index: Index) -> None:
    """The direct clashes of this pair are among those that a search with uv finds."""
    _, partners = rank(index, SGLANG, "0.5.21", "3.11")
    (partner,) = (each for each in partners if each.candidate.version == "0.31.0")
    assert [clash.package for clash in partner.clashes] == [
        "compressed-tensors", "flashinfer-python", "humming-kernels", "numba", "nvidia-cutlass-dsl", "openai",
        "quack-kernels",
    ]  # fmt: skip
    _, partners = rank(index, SGLANG, "0.4.7", "3.11")
    (partner,) = (each for each in partners if each.candidate.version == "0.9.0.1")
    assert [clash.package for clash in partner.clashes] == ["torch", "torchaudio", "torchvision"]
    assert (partner.same_torch, partner.days) == ("patch", -11)


def test_a_release_that_names_its_partner_is_ranked_with_it(index: Index) -> None:
    """Since sglang 0.3.0 requires vllm 0.5.5, a pair with another vllm needs an override for it."""
    _, partners = rank(index, SGLANG, "0.3.0", "3.11")
    assert str(partners[0].candidate) == "vllm 0.5.5"
    assert partners[0].clashes == ()
    (other,) = (each for each in partners if each.candidate.version == "0.5.4")
    assert [(clash.package, clash.sglang, clash.vllm) for clash in other.clashes] == [
        ("vllm", "==0.5.5", "==0.5.4")
    ]
    (clash,) = direct_clashes(asked(index, SGLANG, "0.3.0"), asked(index, VLLM, "0.5.4"))
    override = choose(clash)
    assert (str(override), override.side) == ("vllm==0.5.4", "vllm"), "the older, all the same"
    assert override.reason == "the release of this pair: sglang 0.3.0 requires ==0.5.5"
    assert flipped(override, "it fails") is None, "another vllm would be another pair"


@pytest.mark.parametrize("python", ["3.9", "3.11", "3.13"])
@pytest.mark.parametrize(
    ("package", "version"), [(SGLANG, "0.3.0"), (SGLANG, "0.4.7"), (SGLANG, "0.5.23"), (VLLM, "0.26.0")]
)
def test_the_tables_say_what_the_metadata_does(
    index: Index, package: NormalizedName, version: str, python: str
) -> None:
    mine, partners = rank(index, package, version, python)
    parsed = asked(index, package, version, python)
    other = VLLM if package == SGLANG else SGLANG
    assert mine[:6] == parsed.summary[:6]
    for partner in partners[::7]:
        theirs = asked(index, other, partner.candidate.version, python)
        assert partner.candidate[:6] == theirs.summary[:6]
        assert partner.candidate.excluded is not theirs.runs_on(python)
        sides = (parsed, theirs) if package == SGLANG else (theirs, parsed)
        clashes = direct_clashes(*sides)
        assert [clash.package for clash in partner.clashes] == [clash.package for clash in clashes]
        for clash, known in zip(partner.clashes, clashes, strict=True):
            specifiers = {ask.side: str(ask.specifiers) for ask in known.sides}
            assert (clash.sglang, clash.vllm) == (specifiers[SGLANG], specifiers[VLLM])
        predicted = predicted_clashes(*sides, known_requirements(Companions(), python))
        indirect = {str(clash.package): clash for clash in predicted if not clash.direct}
        assert [clash.package for clash in partner.indirect] == sorted(indirect)
        for further in partner.indirect:
            specifiers = {ask.side: str(ask.specifiers) for ask in indirect[further.package].sides}
            assert (further.sglang, further.vllm) == (specifiers[SGLANG], specifiers[VLLM])
            assert further.through in {ask.by for ask in indirect[further.package].sides}


def test_what_a_release_pins_clashes_with_what_the_other_one_requires(index: Index) -> None:
    """Sglang 0.4.9.post6 pins outlines 0.1.11, which pins an outlines-core that vllm 0.10.0 refuses."""
    _, partners = rank(index, SGLANG, "0.4.9.post6", "3.11")
    best = partners[0]
    assert (str(best.candidate), best.clashes, best.overrides) == ("vllm 0.10.0", (), 1)
    assert best.indirect == (("outlines-core", "==0.1.26", "==0.2.10", SGLANG, "outlines 0.1.11"),)


def test_releases_for_other_pythons_come_last_with_the_reason(index: Index) -> None:
    _, partners = rank(index, SGLANG, "0.5.22", "3.10")
    assert all(partner.problem for partner in partners)
    assert "sglang 0.5.22 requires Python >=3.11" in partners[0].problem


def test_the_text_names_the_kernels_and_the_clashes(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--for", "sglang==0.5.14") == errors.CLEAN
    first, head, best, *rest = capsys.readouterr().out.splitlines()
    assert "sglang-kernel 0.4.4" in first
    assert "flashinfer-python 0.6.12" in first
    assert "torch 2.11.0" in first
    assert head.split() == [
        "release",
        "torch",
        "same",
        "torch",
        "overrides",
        "days",
        "kernels",
        "clashes",
    ]
    assert best.split()[:5] == ["vllm", "0.24.0", "2.11.0", "yes", "4"]
    assert best.endswith("llguidance, tilelang, tokenspeed-mla, outlines-core (by outlines 0.1.11)")
    assert len(rest) == 10
    assert rest[-1].endswith("more (--all)")


def test_json_holds_the_whole_ranking(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--for", "vllm==0.26.0", "--format", "json") == errors.CLEAN
    document = json.loads(capsys.readouterr().out)
    assert (document["schema"], document["command"]) == (1, "pairs for")
    assert document["release"]["torch"] == "2.11.0"
    best = document["partners"][0]
    assert (best["package"], best["same_torch"], best["problem"]) == ("sglang", "exact", None)
    assert best["overrides"] == len(best["clashes"])
    assert {ask["side"] for clash in best["clashes"] for ask in clash["asks"]} == {"sglang", "vllm"}
    assert len(document["partners"]) > 100
    assert not [each["version"] for each in document["partners"] if "rc" in each["version"]]


def test_the_releases_that_require_a_kernel_package_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--for", "sgl_kernel==0.1.7") == errors.CLEAN
    assert [line.split()[:3] for line in capsys.readouterr().out.splitlines()[1:]] == [
        ["sglang[srt]", "0.4.7", "==0.1.7"]
    ]
    assert run("--for", "sglang-kernel==0.4.5", "--format", "json") == errors.CLEAN
    document = json.loads(capsys.readouterr().out)
    assert [release["version"] for release in document["releases"]] == ["0.5.16", "0.5.17"]
    assert run("--for", "torch==1.0.0") == errors.FINDINGS


def test_offline_clashes_of_two_releases(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("0.5.17", "0.26.0", "--offline") == errors.FINDINGS
    printed = capsys.readouterr().out
    assert "use torchcodec>=0.14" in printed
    assert "use flashinfer-python[cu13]==0.6.15.post1" in printed
    assert run("sglang==0.5.17", "vllm==0.26.0", "--offline", "--format", "json") == errors.FINDINGS
    document = json.loads(capsys.readouterr().out)
    assert document["resolved"] is None
    assert [each["package"] for each in document["overrides"]] == [
        "apache-tvm-ffi", "flashinfer-python", "numba", "tilelang", "torchcodec", "outlines-core",
    ]  # fmt: skip
    assert [each["direct"] for each in document["clashes"]] == [True] * 5 + [False]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--for", "sglang"], "'sglang' is not a release (example: sglang==0.5.14)"),
        (["--for", "sglang==0.5.99"], "sglang 0.5.99 is not in the index (nearest: "),
        (["--for", "sglang==x"], "'x' is not a version"),
        (["--for", "sglang==0.5.14", "0.5.14"], "not both"),
        (["0.5.14"], "give two releases"),
        (["vllm==0.23.0", "sglang==0.5.14"], "sglang first, then vllm"),
        (["0.5.14", "0.23.0", "--python", "4"], "'4' is not a Python version"),
        (["table", "--python", "three"], "--python: 'three' is not a Python version"),
        (
            ["--for", "sglang==0.5.14", "--format", "toml"],
            "--format toml: only valid for the two releases of a pair",
        ),
        (["--for", "sglang==0.5.14", "--probe"], "--probe: only valid for the two releases of a pair"),
        (["--for", "sglang==0.5.14", "--offline"], "--offline: only valid for the two releases of a pair"),
        (["0.5.14", "0.23.0", "--offline", "--probe"], "--probe: needs a resolution"),
        (["0.5.14", "0.23.0", "--offline", "--format", "toml"], "--format toml: needs a resolution"),
        (["0.5.14", "0.23.0", "--all"], "--all: only valid with --for"),
        (["0.5.14", "0.23.0", "--envs", "here"], "--envs: only valid with --probe"),
    ],
)
def test_bad_usage_is_one_line(argv: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*argv) == errors.USAGE
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert message in line


def test_models_that_cannot_be_imported_count_before_torch(
    index: Index, capsys: pytest.CaptureFixture[str]
) -> None:
    """The gemma model of sglang 0.1.14 imports `input_metadata`, which vllm 0.3.3 has and 0.4.0 has not."""
    _, partners = rank(index, SGLANG, "0.1.14", "3.11")
    usable = [each for each in partners if not each.problem]
    assert (usable[0].candidate.version, usable[0].broken_modules) == ("0.3.3", 0)
    (later,) = (each for each in usable if each.candidate.version == "0.4.0")
    assert later.broken is not None
    assert later.broken.module == "sglang.srt.models.gemma"
    assert abs(later.days) < abs(usable[0].days), "the nearer date comes second all the same"
    assert run("--for", "sglang==0.1.14") == errors.CLEAN
    assert "beside vllm 0.4.0, 1 module of sglang cannot be imported" in capsys.readouterr().out


def test_a_package_that_only_the_required_vllm_requires_leads_to_sglang(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("--for", "torch==2.1.2", "--format", "json") == errors.CLEAN
    releases = json.loads(capsys.readouterr().out)["releases"]
    through = {each["version"]: each["through"] for each in releases if each["package"] == "sglang"}
    assert through["0.1.14"] == ["0.3.3"], "what it works with, and not each vllm that it admits"
    assert "0.4.7" not in through
    assert run("--for", "torch==2.1.2") == errors.CLEAN
    assert "requires vllm 0.3.3" in capsys.readouterr().out


def test_only_the_pinning_vllm_leads_to_sglang(index: Index) -> None:
    found = users_of(index, "torch", "2.9.1", "3.11")
    assert all(not each.through or each.release.package == SGLANG for each in found)
    assert {str(each.release) for each in found if not each.through} >= {"sglang 0.5.9"}


@pytest.mark.parametrize(("side", "pinned"), [(SGLANG, "sglang-kernel"), (VLLM, "torchvision")])
def test_the_specifier_of_what_is_pinned_stands_on_the_side_that_pins_it(
    index: Index, side: NormalizedName, pinned: str
) -> None:
    """Sglang 0.5.23 pins its kernels and takes any torchvision, which releases of vllm pin."""

    def required(name: str, version: str, asked: Collection[str]) -> dict[NormalizedName, SpecifierSet]:
        assert version
        return {canonicalize_name("openai"): NEVER} if name == pinned and "openai" in asked else {}

    at = index.release_index(SGLANG, "0.5.23", "test")
    found = ranked_clashes(index, SGLANG, at, "3.11", direct={}, required=required)
    clashes = [clash for each in found.values() for clash in each]
    assert clashes
    for clash in clashes:
        assert (clash.package, clash.side) == ("openai", side)
        assert {SGLANG: clash.sglang, VLLM: clash.vllm}[side] == str(NEVER)
