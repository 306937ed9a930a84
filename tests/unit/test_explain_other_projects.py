"""Tests for failures that no release of sglang or vllm explains alone: what the answer still tells."""

import pytest

from compat.explain.engine import explain
from compat.model.diagnosis import Diagnosis


def only(text: str) -> Diagnosis:
    """Return the one diagnosis of a text."""
    (found,) = explain(text)
    return found


def told(diagnosis: Diagnosis) -> str:
    """Return everything that a diagnosis says."""
    return "\n".join((*diagnosis.evidence, diagnosis.fix.text, diagnosis.fix.command or ""))


def test_a_name_that_another_project_lacks_leads_to_that_project() -> None:
    found = only(
        '  File "/home/u/serve.py", line 3, in <module>\n'
        "    from quux.serving import Router\n"
        "ImportError: cannot import name 'Router' from 'quux.serving' "
        "(/venv/lib/python3.12/site-packages/quux/serving.py)"
    )
    assert (found.cause, found.package, found.module, found.symbol) == (
        "unknown",
        "quux",
        "quux.serving",
        "Router",
    )
    assert found.fix.command is None


def test_a_path_that_is_cut_off_counts_as_one() -> None:
    message = "ImportError: cannot import name 'Router' from 'quux.serving' "
    assert only(f"{message}(/venv/lib/python3.12/site-packages/q").package == "quux"


def test_a_module_of_the_users_own_is_no_package() -> None:
    found = only("ModuleNotFoundError: No module named 'helpers.routing'")
    assert (found.cause, found.package, found.module) == ("unknown", None, "helpers.routing")


def test_another_project_that_is_listed_is_not_taken_for_a_shadowing_folder() -> None:
    found = only("ModuleNotFoundError: No module named 'quux.kernels'\nName: quux\nVersion: 2.1.0\n")
    assert (found.cause, found.package) == ("unknown", "quux")


def test_an_attribute_of_a_class_beside_it_is_told() -> None:
    message = "AttributeError: 'EngineArgs' object has no attribute 'disable_log_requests'"
    found = only(f"vllm 0.6.3.post1\n{message}")
    assert (found.cause, found.symbol) == ("unknown", "EngineArgs.disable_log_requests")
    assert "AsyncEngineArgs" in found.fix.text


def test_an_attribute_that_all_releases_have_is_no_matter_of_the_release() -> None:
    found = only("AttributeError: 'LLM' object has no attribute 'llm_engine'")
    assert (found.cause, found.package) == ("unknown", "vllm")
    assert found.fix.command is None
    assert "not initialized" in found.fix.text


SUPPORTED = "Supported architectures: ['LlamaForCausalLM', 'MistralForCausalLM']"


@pytest.mark.parametrize(
    ("text", "cause", "says"),
    [
        ("Model architectures ['Phi3VForCausalLM'] are not supported for now. {}", "not_yet_added", "0.5.1"),
        ("Model architectures ['LlamaForCausalLM'] are not supported for now. {}", "unknown", "earlier line"),
        ("Model architectures ['QuuxForCausalLM'] are not supported for now. {}", "unknown", "plug-in"),
    ],
)
def test_an_architecture_leads_to_the_releases_that_have_it(text: str, cause: str, says: str) -> None:
    found = only("vllm==0.5.0\nValueError: " + text.format(SUPPORTED))
    assert found.cause == cause
    assert says in told(found)


def test_docker_builds_print_seconds_before_each_line() -> None:
    lines = (
        "Traceback (most recent call last):",
        '  File "/src/download_model.py", line 5, in <module>',
        "    from vllm.sampling_params import GuidedDecodingParams",
        "ImportError: cannot import name 'GuidedDecodingParams' from 'vllm.sampling_params' (/x.py)",
    )
    plain, built = "\n".join(lines), "\n".join(f"#12 7.914 {line}" for line in lines)
    assert only(built) == only(plain)


def test_a_name_that_numpy_says_it_removed_wants_an_older_numpy() -> None:
    message = "`np.float_` was removed in the NumPy 2.0 release. Use `np.float64` instead."
    found = only(f"AttributeError: {message}")
    assert (found.cause, found.package, found.fix.command) == (
        "requirement_violated",
        "numpy",
        'pip install "numpy<2"',
    )


def test_a_function_of_python_is_no_function_of_torch() -> None:
    path = "/x/lib/python3.12/lib-dynload/_ctypes.so"
    found = only(f"ImportError: {path}: undefined symbol: _PyErr_SetLocaleString")
    assert found.cause == "abi_mismatch"
    assert "another Python" in found.fix.text
    assert found.fix.command is None


def test_a_library_that_was_replaced_wants_a_restart() -> None:
    found = only(
        "OSError: /v/lib/python3.10/site-packages/torchvision.libs/libcudart.41118559.so.12 (deleted): "
        "cannot open shared object file: No such file or directory"
    )
    assert (found.cause, found.symbol) == ("missing_native_library", "libcudart.41118559.so.12")
    assert "start the process again" in found.fix.text


def test_torchvision_that_is_half_imported_is_built_for_another_torch() -> None:
    found = only(
        "Traceback (most recent call last):\n"
        '  File "/v/lib/python3.10/site-packages/torchvision/_meta_registrations.py", line 18, in wrapper\n'
        "    if torchvision.extension._has_ops():\n"
        "AttributeError: partially initialized module 'torchvision' has no attribute 'extension' "
        "(most likely due to a circular import)"
    )
    assert (found.cause, found.package) == ("abi_mismatch", "torchvision")


def test_a_module_that_all_fitting_releases_have_is_missing_in_the_installation() -> None:
    text = (
        '  File "/v/lib/python3.12/site-packages/vllm/model_executor/models/qwen3.py", line 42, in <module>\n'
        "    from .qwen2 import Qwen2MLP as Qwen3MLP\n"
        '  File "/v/lib/python3.12/site-packages/vllm/model_executor/layers/rotary_embedding/common.py", '
        "line 9, in <module>\n"
        "ModuleNotFoundError: No module named 'vllm.vllm_flash_attn.layers'"
    )
    found = only(text)
    assert (found.cause, found.package, found.version) == ("unknown", "vllm", None)
    assert "incomplete" in found.fix.text


def test_a_plug_in_without_its_entry_point_is_looked_for_where_python_finds_it() -> None:
    found = only(
        "Traceback (most recent call last):\n"
        '  File "/x/site-packages/vllm/plugins/__init__.py", line 42, in load_plugins_by_group\n'
        "    func = plugin.load()\n"
        '  File "/usr/lib/python3.10/importlib/metadata/__init__.py", line 173, in load\n'
        "    return functools.reduce(getattr, attrs, module)\n"
        "AttributeError: module 'quux_plugin' has no attribute 'register'\n"
    )
    assert (found.cause, found.package, found.symbol) == ("unknown", None, "register")
    assert found.fix.command == "python -c 'import quux_plugin; print(quux_plugin)'"
