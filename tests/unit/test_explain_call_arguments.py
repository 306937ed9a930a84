"""Diagnoses of calls with wrong arguments, from messages that Python itself produces."""

import argparse
import contextlib
import io
import traceback
from typing import Any

import pytest

from compat.explain.engine import explain
from compat.model.diagnosis import Diagnosis

USER = "/home/user/project/main.py"
TRL = "/home/user/venv/lib/python3.11/site-packages/trl/extras/vllm_client.py"
INSIDE = "/home/user/venv/lib/python3.11/site-packages/vllm/entrypoints/llm.py"


def message(definition: str, call: str) -> str:
    """Return the message of this Python for a call of a definition, by calling it."""
    names: dict[str, Any] = {}
    exec(definition, names)  # noqa: S102 -- our own text, so that the message is Python's
    with pytest.raises(TypeError) as caught:
        eval(call, names)  # noqa: S307 -- likewise
    return traceback.format_exception_only(caught.value)[0]


def log(error: str, *frames: tuple[str, str]) -> str:
    lines = [f'  File "{path}", line 3, in f\n    {source}\n' for path, source in frames]
    return f"Traceback (most recent call last):\n{''.join(lines)}{error}"


def first(text: str, *, vllm: str, sglang: str | None = None) -> Diagnosis:
    (only,) = explain(text, vllm=vllm, sglang=sglang)
    return only


STEPS = message(
    "class EngineArgs:\n def __init__(self, model): ...", "EngineArgs('m', num_scheduler_steps=8)"
)


def test_a_removed_argument_is_reported_with_the_releases_that_accept_it() -> None:
    found = first(log(STEPS, (USER, "args = EngineArgs('m', num_scheduler_steps=8)")), vllm="0.11.0")
    assert (found.cause, found.package, found.version) == ("symbol_removed", "vllm", "0.11.0")
    assert (found.module, found.symbol) == ("vllm.engine.arg_utils", "EngineArgs(num_scheduler_steps=)")
    assert "accepts num_scheduler_steps in 0.5.5 to 0.10.0" in found.evidence[-1]
    assert (found.fix.kind, found.fix.command) == ("edit", None)


def test_an_argument_of_a_later_release_is_reported_with_the_first_that_accepts_it() -> None:
    error = message("class EngineArgs:\n def __init__(self): ...", "EngineArgs(async_scheduling=True)")
    found = first(log(error, (USER, "args = EngineArgs(async_scheduling=True)")), vllm="0.9.0.1")
    assert found.cause == "not_yet_added"
    assert found.fix.command == 'pip install "vllm>=0.10.0"'


def test_a_newly_required_argument_is_reported() -> None:
    error = message(
        "class GPTQMarlinConfig:\n def __init__(self, a, dynamic, full_config): ...", "GPTQMarlinConfig(4)"
    )
    found = first(log(error, (USER, "config = GPTQMarlinConfig(4)")), vllm="0.9.0.1")
    assert (found.cause, found.symbol) == ("symbol_removed", "GPTQMarlinConfig")
    assert "does not require dynamic and full_config in" in found.evidence[-1]
    assert "to 0.7.2" in found.evidence[-1]
    assert found.fix.text == "Pass dynamic and full_config: vllm 0.9.0.1 requires it."


def test_a_package_that_passes_arguments_on_is_not_to_blame() -> None:
    frames = (USER, "llm = LLM('m', num_scheduler_steps=8)"), (INSIDE, "engine_args = EngineArgs(")
    assert first(log(STEPS, *frames), vllm="0.11.0").fix.kind == "edit"


def test_a_calling_package_is_reported_as_written_for_another_release() -> None:
    found = first(log(STEPS, (USER, "trainer.train()"), (TRL, "args = EngineArgs(**given)")), vllm="0.11.0")
    assert found.fix.kind == "install"
    assert found.fix.text.startswith("trl was written for another release of vllm")
    assert "0.5.5 to 0.10.0" in found.fix.text


def test_before_python_3_10_the_source_line_names_the_class() -> None:
    error = STEPS.replace("EngineArgs.__init__()", "__init__()")
    assert "EngineArgs" not in error
    found = first(log(error, (USER, "run(EngineArgs(model='m', num_scheduler_steps=8))")), vllm="0.11.0")
    assert found.symbol == "EngineArgs(num_scheduler_steps=)"


def test_the_nearest_accepted_name_is_suggested() -> None:
    error = message("class EngineArgs:\n def __init__(self): ...", "EngineArgs(override_pooler_config=1)")
    found = first(log(error, (USER, "args = EngineArgs(override_pooler_config=1)")), vllm="0.23.0")
    assert found.fix.text.endswith("The nearest name that it accepts is pooler_config.")


@pytest.mark.parametrize(
    ("definition", "call"),
    [
        ("class Mine:\n def __init__(self): ...", "Mine(num_scheduler_steps=8)"),
        ("class EngineArgs:\n def __init__(self): ...", "EngineArgs(nobody_ever_had_this=8)"),
        ("class MyEngineArgs:\n def __init__(self): ...", "MyEngineArgs(num_scheduler_steps=8)"),
        ("def f(x): ...", "f()"),
        ("def gen(): ...", "gen(json_schema='{}')"),
    ],
    ids=[
        "a class of the user's own",
        "an argument no release has",
        "one named like a known one",
        "a function not indexed",
        "anybody's name",
    ],
)
def test_what_no_release_explains_stays_unknown(definition: str, call: str) -> None:
    error = message(definition, call)
    assert first(log(error, (USER, call)), vllm="0.11.0", sglang="0.2.0").cause == "unknown"


def test_a_short_name_counts_where_the_package_is_said() -> None:
    error = message("def gen(): ...", "gen(json_schema='{}')")
    found = first(log(error, (USER, "s += sgl.gen('x', json_schema='{}')")), vllm="0.11.0", sglang="0.2.0")
    assert (found.cause, found.symbol) == ("not_yet_added", "gen(json_schema=)")


def test_the_traceback_decides_between_two_packages() -> None:
    """Both define `get_model`; a call in a file of one of them refers to its own."""
    error = message("def get_model(*, vllm_config): ...", "get_model()")
    found = first(log(error, (INSIDE, "model = get_model()")), vllm="0.9.0.1", sglang="0.4.7")
    assert (found.package, found.module) == ("vllm", "vllm.model_executor.model_loader")


def unrecognized(program: str, *given: str) -> str:
    """Return the message of argparse for options that a program does not have."""
    parser = argparse.ArgumentParser(prog=program)
    said = io.StringIO()
    with pytest.raises(SystemExit), contextlib.redirect_stderr(said):
        parser.parse_args(given)
    return said.getvalue()


@pytest.mark.parametrize("program", ["vllm serve", "api_server.py"])
def test_a_removed_option_of_the_server_is_reported(program: str) -> None:
    found = first(unrecognized(program, "--num-scheduler-steps", "8"), vllm="0.11.0")
    assert (found.cause, found.symbol) == ("symbol_removed", "EngineArgs(num_scheduler_steps=)")
    assert found.fix.text == "Leave --num-scheduler-steps out: vllm 0.11.0 does not accept it."


def test_an_option_of_sglang_is_looked_up_in_its_own_server() -> None:
    """There is a second class `ServerArgs` in sglang, for image models."""
    found = first(unrecognized("launch_server.py", "--disable-flashinfer"), vllm="0.11.0", sglang="0.5.14")
    assert (found.module, found.symbol) == ("sglang.srt.server_args", "ServerArgs(disable_flashinfer=)")


def test_an_option_of_the_other_server_is_unknown() -> None:
    """The server for image models had this option up to 0.5.13; `launch_server.py` never did."""
    text = unrecognized("launch_server.py", "--mask-strategy-file-path", "x")
    assert first(text, vllm="0.11.0", sglang="0.5.14").cause == "unknown"


def test_an_option_of_another_program_is_unknown() -> None:
    assert first(unrecognized("train.py", "--num-scheduler-steps", "8"), vllm="0.11.0").cause == "unknown"


def test_too_many_positional_arguments_are_reported() -> None:
    error = message(
        "def init_distributed_environment(a, b, c, d, e): ...",
        "init_distributed_environment(1, 2, 3, 4, 5, 6)",
    )
    found = first(log(error, (USER, "init_distributed_environment(1, 2, 3, 4, 5, 6)")), vllm="0.9.0.1")
    assert (found.cause, found.package, found.symbol) == (
        "not_yet_added",
        "vllm",
        "init_distributed_environment",
    )
    assert "accepts 6 positional arguments in" in found.evidence[-1]


def test_a_class_has_the_fields_of_its_bases() -> None:
    error = message(
        "class AsyncEngineArgs:\n def __init__(self): ...", "AsyncEngineArgs(limit_mm_per_prompt=1)"
    )
    found = first(log(error, (USER, "AsyncEngineArgs(limit_mm_per_prompt=1)")), vllm="0.5.0")
    assert (found.cause, found.symbol) == ("not_yet_added", "AsyncEngineArgs(limit_mm_per_prompt=)")


def test_a_title_without_the_name_of_the_error_is_enough() -> None:
    found = first(
        "vllm 0.14.1: EngineArgs.__init__() got an unexpected keyword argument 'task'\n", vllm="0.14.1"
    )
    assert found.symbol == "EngineArgs(task=)"


def test_the_release_is_read_from_what_collect_env_prints() -> None:
    (found,) = explain(f"vLLM Version                 : 0.11.0 (git sha: 0a1b2c3)\n{STEPS}")
    assert (found.version, found.symbol) == ("0.11.0", "EngineArgs(num_scheduler_steps=)")


def test_a_release_that_takes_the_call_is_not_the_one_that_was_imported() -> None:
    found = first(log(STEPS, (USER, "args = EngineArgs('m', num_scheduler_steps=8)")), vllm="0.6.3")
    assert (found.cause, found.package, found.version, found.fix.kind) == (
        "unknown",
        "vllm",
        "0.6.3",
        "environment",
    )
    assert found.fix.command == 'python -c "import vllm; print(vllm.__version__, vllm.__file__)"'


def test_of_several_definitions_each_is_listed_with_its_releases() -> None:
    """Vllm has an InputBatch for GPUs and one for TPUs, and the text does not say which one is meant."""
    error = message("class InputBatch:\n def __init__(self): ...", "InputBatch(max_num_blocks_per_req=8)")
    (found,) = explain(log(error, (USER, "batch = InputBatch(max_num_blocks_per_req=8)")))
    assert (found.cause, found.package) == ("unknown", "vllm")
    known = [each for each in found.evidence if ":InputBatch accepts max_num_blocks_per_req in " in each]
    assert len(known) == 2
    assert "vllm.v1.worker.gpu_input_batch:InputBatch" in known[0]
    assert "to 0.8.5.post1, 0.15.0 and later" in known[0]


def test_a_class_of_which_something_makes_a_record_may_have_any_attribute() -> None:
    """ServerArgs gets its fields from other modules since sglang 0.5.20, so none is missing there."""
    error = "AttributeError: 'ServerArgs' object has no attribute 'encoder_only'"
    (found,) = explain(log(error, (USER, "if server_args.encoder_only:")))
    assert (found.cause, found.symbol) == ("not_yet_added", "ServerArgs.encoder_only")
    assert found.fix.command == 'pip install "sglang>=0.5.7"'
    (newest,) = explain(log(error, (USER, "if server_args.encoder_only:")), sglang="0.5.23")
    assert newest.cause == "unknown"
