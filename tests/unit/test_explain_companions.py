"""Failures in third packages: which of their releases have what is missing, and which satisfy the release."""

import random
import re
from collections.abc import Iterator

import pytest
from packaging.specifiers import SpecifierSet

from compat.companions.reader import Companions
from compat.explain.context import RuleContext
from compat.explain.engine import explain
from compat.explain.log.log_reader import read
from compat.explain.lookup.installable import installable
from compat.explain.lookup.module_paths import distribution_of
from compat.explain.lookup.requirement_violations import USUAL, of_release
from compat.explain.lookup.symbol_history import History
from compat.index.reader import Index
from compat.model.diagnosis import Diagnosis, Fix
from failures import CORPUS

INDEX = Index()
COMPANIONS = Companions()
_COMMAND = re.compile(r'^pip install "([\w-]+)([<>=!~].*)"$')


def context(log: str = "", **given: str) -> RuleContext:
    return RuleContext(read(log), History(INDEX), given, None)


def lacking(package: str, version: str) -> Iterator[tuple[str, str, str]]:
    """Yield names that a release imports, each with its distribution and a release of that which lacks it."""
    at = INDEX.versions(package).index(version)
    for demand in COMPANIONS.demands(package, version):
        module, _, name = demand.target.partition(":")
        if demand.form != "import" or not name or "." in name:
            continue
        distribution = distribution_of(module.partition(".")[0])
        if distribution not in COMPANIONS.read or not any(
            True for _ in of_release(context(), package, at, distribution)
        ):
            continue
        ranges = COMPANIONS.ranges(distribution, demand.target)
        absent = [first for first, _, state in ranges if state == "absent"]
        if absent and any(state == "present" for _, _, state in ranges):
            yield distribution, demand.target, COMPANIONS.versions(distribution)[absent[-1]]


@pytest.mark.parametrize(
    ("package", "version"), [("vllm", "0.8.5"), ("vllm", "0.23.0"), ("sglang", "0.4.7"), ("sglang", "0.5.14")]
)
def test_the_version_has_the_name_and_satisfies_the_release(package: str, version: str) -> None:
    at = INDEX.versions(package).index(version)
    names = sorted(set(lacking(package, version)))
    checked = 0
    for distribution, target, installed in random.Random(18).sample(names, min(12, len(names))):  # noqa: S311
        module, _, name = target.partition(":")
        log = (
            f"ImportError: cannot import name '{name}' from '{module}'\n\n"
            f"{package}=={version}\n{distribution}=={installed}\n"
        )
        found = explain(log)[0]
        assert (found.cause, found.package) == ("requirement_violated", distribution), target
        command = _COMMAND.match(found.fix.command or "")
        if command is None:
            assert found.fix.kind == "environment", (target, found.fix)
            continue
        assert command[1] == distribution
        chosen = SpecifierSet(command[2])
        usual = [e for e in of_release(context(), package, at, distribution) if e.extra in USUAL]
        versions = COMPANIONS.versions(distribution)
        states = {
            COMPANIONS.state(distribution, place, target)
            for place, each in enumerate(versions)
            if chosen.contains(each) and all(e.requirement.specifier.contains(each) for e in usual)
        }
        assert states, (target, found.fix)
        assert not any(state is None or state.state == "absent" for state in states), (target, found.fix)
        checked += 1
    assert checked >= 2


def test_without_a_release_the_range_is_told_and_the_command_stays_within_it() -> None:
    found = explain(
        "ImportError: cannot import name 'LogitsWarper' from 'transformers.generation.logits_process'"
    )
    assert found[0].fix.command == 'pip install "transformers==4.48.3"'
    assert "if your release of sglang or vllm admits it" in found[0].fix.text
    assert any("transformers 4.27.0..4.48.3" in line for line in found[0].evidence)


def test_a_missing_module_of_a_package_counts_by_what_is_imported_from_it() -> None:
    found = explain("ModuleNotFoundError: No module named 'transformers.models.glm4v_moe'", sglang="0.5.14")[
        0
    ]
    assert (found.cause, found.package) == ("requirement_violated", "transformers")
    assert any("4.56.0 and later" in line for line in found.evidence)


def test_no_command_where_no_release_satisfies_both_sides() -> None:
    found = explain("ImportError: cannot import name 'RootModel' from 'pydantic'", vllm="0.1.4")[0]
    assert (found.cause, found.package, found.fix.command) == ("requirement_violated", "pydantic", None)
    assert "pydantic>=2.0" in found.fix.text
    other = re.search(r"or vllm (\S+), which admits", found.fix.text)
    assert other
    edges = of_release(context(), "vllm", INDEX.versions("vllm").index(other[1]), "pydantic")
    assert all(each.requirement.specifier.contains("2.0") for each in edges)


def test_what_a_pinned_package_requires_counts_as_well() -> None:
    found = explain(
        "ImportError: cannot import name 'is_offline_mode' from 'huggingface_hub'", sglang="0.4.7"
    )[0]
    assert found.package == "huggingface-hub"
    assert found.fix.command is None
    assert "transformers 4.52.3 requires huggingface-hub<1.0" in found.fix.text


def test_the_version_of_what_imports_it_is_the_cause_where_it_violates_the_release() -> None:
    log = """Traceback (most recent call last):
  File "/v/lib/python3.11/site-packages/transformers/utils/hub.py", line 29, in <module>
    from huggingface_hub import is_offline_mode
ImportError: cannot import name 'is_offline_mode' from 'huggingface_hub'

transformers==5.8.1
"""
    found = explain(log, sglang="0.4.7")[0]
    assert (found.package, found.fix.command) == ("transformers", 'pip install "transformers==4.52.3"')


def test_a_release_for_another_python_is_not_proposed() -> None:
    frame = 'Traceback (most recent call last):\n  File "/v/lib/python3.6/site-packages/a.py", line 1, in f\n'
    line = "ImportError: cannot import name 'StructuralTag' from 'xgrammar'\n"
    found = explain(f"{frame}    from xgrammar import StructuralTag\n{line}")[0]
    assert (found.package, found.fix.command) == ("xgrammar", None)
    assert "Python 3.6" in found.fix.text


def test_the_date_is_not_used_where_releases_are_known() -> None:
    for name, module in (("build_regex_from_object", "outlines.fsm.json_schema"), ("RootModel", "pydantic")):
        for found in explain(f"ImportError: cannot import name '{name}' from '{module}'", sglang="0.1.12"):
            assert "exclude-newer" not in (found.fix.command or "")
            assert found.fix.command != "pip check"


TAKEN = "ValueError: '{key}' is already used by a Transformers config, pick another name."


@pytest.mark.parametrize(
    ("key", "config"),
    [("aimv2", "Aimv2VisionConfig"), ("qwen3_next", "Qwen3NextConfig"), ("olmo3", "Olmo3Config")],
)
def test_a_taken_model_type_leads_to_the_release_before_the_first_that_has_it(key: str, config: str) -> None:
    found = explain(TAKEN.format(key=key))[0]
    assert (found.cause, found.package) == ("requirement_violated", "transformers")
    version = (found.fix.command or "").removeprefix('pip install "transformers==').rstrip('"')
    at = COMPANIONS.release_index("transformers", version)
    assert at is not None
    states = [COMPANIONS.state("transformers", each, f"transformers:{config}") for each in (at, at + 1)]
    assert [each and each.state for each in states] == ["absent", "present"]


def test_a_taken_model_type_keeps_within_the_requirement() -> None:
    found = explain(TAKEN.format(key="aimv2"), vllm="0.9.2")[0]
    assert found.fix.command == 'pip install "transformers==4.53.3"'
    assert "exclude-newer" in (explain(TAKEN.format(key="no_model"), vllm="0.9.2")[0].fix.command or "")


@pytest.mark.parametrize("module", ["PIL", "jwt", "yaml", "partial_json_parser", "dotenv", "llguidance"])
def test_the_records_tell_which_distribution_carries_a_module(module: str) -> None:
    assert (distribution_of(module),) == COMPANIONS.carriers(module)


def test_a_namespace_that_another_distribution_shares_does_not_make_it_the_usual_one() -> None:
    assert COMPANIONS.carriers("flash_attn") == ("flash-attn-4",)
    assert distribution_of("flash_attn") == "flash-attn"


def offered(command: str, log: str = "", module: str | None = None) -> Fix:
    fix = Fix(kind="install", text="Install it.", command=command)
    diagnosis = Diagnosis(cause="requirement_violated", module=module, evidence=(), fix=fix)
    return installable(diagnosis, context(log)).fix


@pytest.mark.parametrize(
    "command",
    [
        "pip install torch mooncake",
        'pip install --force-reinstall --no-deps "mooncake==1.0"',
        "uv pip install --exclude-newer 2025-01-01 mooncake",
    ],
)
def test_every_name_of_a_command_is_looked_up(command: str) -> None:
    assert offered(command).command is None
    named = command.replace("mooncake", "numpy")
    assert offered(named).command == named


def test_a_name_that_carries_the_module_may_be_installed() -> None:
    assert offered("pip install jmespath", module="jmespath").command
    assert not offered("pip install jmespath", module="mooncake").command


def test_a_platform_without_wheels_withholds_any_name_of_a_command() -> None:
    log = "torch 2.7.0+rocm6.3\n"
    assert offered("pip install numpy vllm").command
    assert offered("pip install numpy vllm", log).command is None
    assert offered("pip install numpy", log).command
    assert offered('conda install -c conda-forge "libstdcxx-ng>=13"').command


def test_extras_of_other_platforms_give_no_requirement() -> None:
    at = INDEX.versions("sglang").index("0.4.7")
    assert not list(of_release(context(), "sglang", at, "vllm"))
    rocm = context("torch 2.7.0+rocm6.3\n")
    assert [each.extra for each in of_release(rocm, "sglang", at, "vllm")] == ["srt-hip"]


@pytest.mark.parametrize(
    ("log", "torch"),
    [
        ("gpu-vllm-cuda12-symbol", "2.7.0"),
        ("gpu-vllm-cuda12-library", "2.7.0"),
        ("gpu-sgl-kernel-cuda12-symbol", "2.7.1"),
        ("gpu-sgl-kernel-cuda12-library", "2.7.1"),
    ],
)
def test_the_torch_is_that_of_the_release_that_the_library_belongs_to(log: str, torch: str) -> None:
    found = explain((CORPUS / f"{log}.log").read_text(encoding="utf-8"), vllm="0.9.0.1", sglang="0.4.7")[0]
    assert found.fix.command == f'pip install "torch=={torch}"'
