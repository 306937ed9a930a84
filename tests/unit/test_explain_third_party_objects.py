"""Attributes, arguments and models that a third package lacks: which package, and which version fits."""

import random

import pytest
from packaging.requirements import Requirement

from compat.companions.reader import Companions
from compat.explain.engine import explain
from compat.explain.log.log_reader import read
from compat.explain.lookup.module_paths import distribution_of
from compat.index.reader import Index
from compat.model.diagnosis import Diagnosis

INDEX = Index()
COMPANIONS = Companions()


def required(package: str, version: str, name: str) -> str:
    """Return the specifier of a release's requirement without an extra; empty without one."""
    release = next(each for each in INDEX.releases(package) if each.version == version)
    found = (Requirement(line) for line in release.requires_dist)
    return next((str(each.specifier) for each in found if each.name == name and not each.marker), "")


def is_defined(name: str) -> bool:
    """Return whether a release of sglang or vllm defines the name as well, so that it may be meant."""
    return any(
        branch.status == "defined"
        for package in ("sglang", "vllm")
        for at in range(0, len(INDEX.versions(package)), 5)
        for module in INDEX.binders(name, package, at)
        for branch in INDEX.branches(module, name, package, at)
    )


def imported_classes(package: str, version: str) -> list[tuple[str, str]]:
    """Return the classes that a release imports from one other package only, each with its distribution."""
    found = []
    for demand in COMPANIONS.demands(package, version):
        module, _, name = demand.target.partition(":")
        top = module.partition(".")[0]
        if name[:1].isupper() and name.isidentifier() and not name.isupper() and not is_defined(name):
            tops = {target.partition(":")[0].partition(".")[0] for _, target in COMPANIONS.named(name)}
            if tops == {top}:
                found.append((name, distribution_of(top)))
    return sorted(set(found))


@pytest.mark.parametrize(("package", "version"), [("vllm", "0.9.2"), ("vllm", "0.24.0"), ("sglang", "0.5.9")])
def test_an_object_belongs_to_the_package_from_which_its_class_is_imported(
    package: str, version: str
) -> None:
    names = imported_classes(package, version)
    for name, distribution in random.Random(7).sample(names, min(10, len(names))):  # noqa: S311
        log = f"{package}=={version}\nAttributeError: '{name}' object has no attribute 'gone_with_time'\n"
        found = explain(log)[0]
        assert found.package == distribution, (name, found)
        command = found.fix.command or ""
        assert "pip install" not in command or distribution in command


def attribute_of(log: str) -> Diagnosis:
    return explain(f"{log}AttributeError: Qwen2Tokenizer has no attribute all_special_tokens_extended\n")[0]


def test_the_first_upper_bound_of_a_later_release_counts_for_one_without_a_bound() -> None:
    found = attribute_of("vllm==0.11.0\n")
    lower, later = required("vllm", "0.11.0", "transformers"), required("vllm", "0.11.1", "transformers")
    upper = next(each for each in later.split(",") if each.startswith("<"))
    assert found.cause == "requirement_violated"
    assert found.fix.command == f'pip install "transformers{upper},{lower}"'
    assert f"vllm 0.11.1 requires transformers{later}" in found.evidence


def test_a_version_within_all_bounds_is_not_blamed() -> None:
    found = attribute_of("vllm==0.11.0\ntransformers==4.56.2\n")
    assert found.cause == "unknown"
    assert "pip install" not in (found.fix.command or "")


def test_a_violated_requirement_comes_first() -> None:
    found = attribute_of("vllm==0.11.0\ntransformers==4.40.0\n")
    assert (found.cause, found.version) == ("requirement_violated", "4.40.0")


def test_a_pin_is_followed_by_those_of_later_releases() -> None:
    error = "trtllm_batch_decode_sparse_mla_dsv4() got an unexpected keyword argument 'x'"
    log = f"vllm==0.24.0\nTypeError: {error}\n"
    found = explain(log)[0]
    pin = required("vllm", "0.24.0", "flashinfer-python")
    assert found.fix.command == f'pip install "flashinfer-python{pin}"'
    assert len([line for line in found.evidence if "requires flashinfer-python==" in line]) > 1


def test_the_line_names_the_package_of_a_method() -> None:
    log = (
        "Traceback (most recent call last):\n"
        '  File "/x/site-packages/vllm/v1/structured_output/backend_guidance.py", line 161, in check\n'
        "    err = llguidance.Unheard.validate(grammar)\n"
        "TypeError: Unheard.validate() got some positional-only arguments passed as keyword arguments: 'a'\n"
    )
    assert explain(log)[0].package == "llguidance"


@pytest.mark.parametrize(
    "line",
    [
        "AttributeError: 'dict' object has no attribute 'gone'",
        "AttributeError: 'NoneType' object has no attribute 'gone'",
        "AttributeError: 'SomethingOfMine' object has no attribute 'gone'",
        "TypeError: my_function() got an unexpected keyword argument 'gone'",
    ],
)
def test_objects_of_nobody_stay_unknown(line: str) -> None:
    found = explain(f"vllm==0.11.0\n{line}\n")[0]
    assert (found.cause, found.package) == ("unknown", None)


@pytest.mark.parametrize(
    ("model", "config", "vllm"),
    [("gemma2", "Gemma2Config", "0.5.0.post1"), ("mllama", "MllamaConfig", "0.6.1")],
)
def test_a_model_type_leads_to_the_first_release_that_has_it(model: str, config: str, vllm: str) -> None:
    log = (
        f"vllm=={vllm}\nValueError: The checkpoint you are trying to load has model type `{model}` but "
        "Transformers does not recognize this architecture.\n"
    )
    found = explain(log)[0]
    ranges = COMPANIONS.ranges("transformers", f"transformers:{config}")
    first = COMPANIONS.versions("transformers")[next(at for at, _, state in ranges if state == "present")]
    assert found.cause == "requirement_violated"
    assert any(f"{model} is in transformers {first}" in line for line in found.evidence)
    assert found.fix.command is not None
    assert found.fix.command.startswith('pip install "vllm>=')
    module = f"vllm.model_executor.models.{model}"
    supporting = found.fix.command.partition(">=")[2].rstrip('"')
    assert module in INDEX.modules_named(model, "vllm", INDEX.versions("vllm").index(supporting))
    assert not INDEX.modules_named(model, "vllm", INDEX.versions("vllm").index(vllm))


def test_a_name_that_every_release_has_is_another_module() -> None:
    found = explain("vllm==0.8.4\nAttributeError: module 'ray' has no attribute 'is_initialized'\n")[0]
    assert (found.cause, found.package) == ("shadowed_module", "ray")


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("with transformers 5.1.0 it fails", "5.1.0"),
        ("it works with transformers 4.57.1", None),
        ("transformers 4.57.1 works, as the thread says", None),
        ("transformers 4.57.1 or transformers 5.1.0, I forgot", ""),
        ("the checkout needs transformers 5.8.1", None),
        ("transformers: 4.57.6\n", "4.57.6"),
    ],
)
def test_a_version_in_prose_counts_if_it_is_the_one_in_use(text: str, version: str | None) -> None:
    found = read(text).facts.others.get("transformers")
    assert (found[0] if found else None) == version


def test_a_class_of_one_name_in_both_packages_is_nobodys() -> None:
    found = explain("AttributeError: 'SamplingParams' object has no attribute 'update'\n")[0]
    assert (found.cause, found.package) == ("unknown", None)


def test_the_only_class_that_ever_had_an_attribute_is_meant() -> None:
    found = explain("AttributeError: 'Worker' object has no attribute 'model'\n")[0]
    assert (found.cause, found.module) == ("symbol_removed", "vllm.worker.worker")


def test_an_error_inside_another_package_tells_what_the_release_requires_of_it() -> None:
    log = (
        "vllm==0.5.3.post1\nTraceback (most recent call last):\n"
        '  File "/x/site-packages/vllm/config.py", line 119, in run\n    config = get_config(model)\n'
        '  File "/x/site-packages/transformers/configuration_utils.py", line 182, in _validation\n'
        "    raise ValueError(\nValueError: `rope_scaling` must be a dictionary with two fields\n"
    )
    found = explain(log)[0]
    assert (found.cause, found.package) == ("unknown", "transformers")
    assert (
        f"vllm 0.5.3.post1 requires transformers{required('vllm', '0.5.3.post1', 'transformers')}"
        in found.evidence
    )
    assert found.fix.command is None


@pytest.mark.parametrize(
    ("name", "package"),
    [("Scheduler", None), ("Sampler", None), ("ParallelConfig", "vllm"), ("ChatCompletionRequest", None)],
)
def test_a_class_that_most_releases_define_is_theirs(name: str, package: str | None) -> None:
    found = explain(f"vllm==0.11.0\nAttributeError: '{name}' object has no attribute 'gone_x'\n")[0]
    assert (found.cause, found.package) == ("unknown", package)


def test_the_likeness_of_a_name_proves_nothing() -> None:
    found = explain("vllm==0.11.0\nAttributeError: 'MyOwnConfig' object has no attribute 'gone_x'\n")[0]
    assert (found.cause, found.package) == ("unknown", "transformers")
    assert "pip install" not in (found.fix.command or "")
