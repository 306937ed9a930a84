"""What `explain` says of failures that no rule explains, and of texts in shapes that hide the failure."""

import pytest

from compat.explain.engine import explain

LIB = "/x/lib/python3.10/site-packages"
FRAMES = (
    "AttributeError: TokenizersBackend has no attribute all_special_tokens_extended",
    "    raise AttributeError(f'{self.__class__.__name__} has no attribute {key}')",
    f'  File "{LIB}/transformers/tokenization_utils_base.py", line 1326, in __getattr__',
    "    tokenizer.all_special_tokens_extended)",
    f'  File "{LIB}/vllm/transformers_utils/tokenizer.py", line 99, in get_cached_tokenizer',
    "Traceback (most recent call last):",
)
REPLACED = f"""  File "{LIB}/vllm/attention/layer.py", line 885, in forward
    self.impl.forward(
TypeError: replaced_forward() got an unexpected keyword argument 'output_block_scale'
"""
MISSING = "missing 1 required positional argument: 'input_ids'"
UNCALLABLE = f"TypeError: Plamo2ForCausalLM.get_input_embeddings() {MISSING}\nvllm 0.10.1\n"
FLASHINFER = f"""sglang==0.4.5 and flashinfer==0.2.5
  File "{LIB}/sglang/srt/managers/tp_worker_overlap_thread.py", line 112, in forward_thread_func
    self.forward_thread_func_()
  File "{LIB}/flashinfer/prefill.py", line 1620, in run
    self._cached_module.paged_run(*run_args)
RuntimeError: Inconsistent number of arguments when calling batch_prefill
"""


@pytest.mark.parametrize("prefix", ["", "a1b2[info]"])
def test_a_log_with_its_newest_line_first_is_read_in_order(prefix: str) -> None:
    newest_first = "".join(f"{prefix}{line}\n" for line in FRAMES)
    oldest_first = "".join(f"{prefix}{line}\n" for line in reversed(FRAMES))
    assert explain(newest_first) == explain(oldest_first)
    assert explain(newest_first)[0].cause == "requirement_violated"


def test_a_frame_without_its_beginning_is_a_frame() -> None:
    text = (
        'sglang/srt/layers/quantization/gptq.py", line 347, in is_gptq_marlin_compatible\n'
        "    return check_marlin_supported(\n"
        "NameError: name 'check_marlin_supported' is not defined\n"
    )
    (only,) = explain(text, sglang="0.4.6.post5")
    assert (only.cause, only.package, only.symbol) == ("placeholder", "sglang", "check_marlin_supported")


def test_an_undefined_name_without_a_traceback_is_placed_by_its_releases() -> None:
    (only,) = explain("NameError: name 'VLLM_AVAILABLE' is not defined from compressed_tensors.py\n")
    assert (only.cause, only.symbol) == ("unknown", "VLLM_AVAILABLE")
    module = "sglang.srt.layers.quantization.compressed_tensors.compressed_tensors"
    assert only.evidence[1] == f"{module}:VLLM_AVAILABLE exists in sglang 0.4.5.post2 to 0.5.3.post3"


@pytest.mark.parametrize(
    ("text", "symbol", "package", "said"),
    [
        (
            REPLACED,
            "replaced_forward(output_block_scale=)",
            None,
            "defined neither in sglang nor in vllm",
        ),
        ("AttributeError: vllm_model\n", "vllm_model", None, "the traceback tells"),
        (UNCALLABLE, "Plamo2ForCausalLM.get_input_embeddings", "vllm", "for another class"),
    ],
)
def test_what_no_rule_explains_is_told_with_its_subject_and_owner(
    text: str, symbol: str, package: str | None, said: str
) -> None:
    (only,) = explain(text)
    assert (only.cause, only.symbol, only.package) == ("unknown", symbol, package)
    assert said in only.fix.text


def test_a_message_that_passes_on_a_failure_says_so() -> None:
    passed_on = "NCCL error: unhandled cuda error"
    text = f"RuntimeError: Worker failed with error '{passed_on}', please check the stack trace above for "
    text += "the root cause"
    (only,) = explain(text)
    assert f"passes on a failure of another place: “{passed_on}”" in only.fix.text


def test_pip_s_conflict_over_a_distribution_that_it_does_not_find_is_not_a_missing_vllm() -> None:
    text = (
        "ERROR: Cannot install vllm because these package versions have conflicting dependencies.\n\n"
        "The conflict is caused by:\n    outlines 0.0.46 depends on pyairports\n"
        "    outlines 0.0.45 depends on pyairports\n\n"
    )
    assert [(each.cause, each.package) for each in explain(text)] == [("requirement_violated", "pyairports")]


def test_the_version_that_a_message_asks_for_is_the_one_to_install() -> None:
    text = "ValueError: awq quantization requires some operators from vllm. Please install vllm by "
    text += "`pip install vllm==0.8.4`"
    (only,) = explain(text, sglang="0.4.6.post5")
    assert (only.cause, only.fix.command) == ("package_missing", 'pip install "vllm==0.8.4"')


def test_flashinfer_in_a_text_is_the_distribution_that_the_release_requires() -> None:
    first = explain(FLASHINFER)[0]
    assert (first.cause, first.package, first.version) == (
        "requirement_violated",
        "flashinfer-python",
        "0.2.5",
    )


@pytest.mark.parametrize(
    "text",
    [
        "RuntimeError: Error 804: forward compatibility was attempted on non supported HW",
        "RuntimeError: CUDA error: the provided PTX was compiled with an unsupported toolchain.",
    ],
)
def test_a_driver_that_is_too_old_is_told(text: str) -> None:
    (only,) = explain(text)
    assert only.cause == "abi_mismatch"
    assert "Update the NVIDIA driver" in only.fix.text


@pytest.mark.parametrize("method", ["lower", "items", "append"])
def test_an_object_in_the_place_of_a_string_or_a_dict_needs_no_other_package(method: str) -> None:
    (only,) = explain(f"vllm==0.7.1\nAttributeError: Qwen2Tokenizer has no attribute {method}\n")
    assert (only.cause, only.package, only.fix.command) == ("unknown", "transformers", None)
    assert f"{method} is a method of" in only.fix.text


def test_an_object_of_an_excluded_version_is_told_by_the_version() -> None:
    text = "vllm==0.11.1 and transformers == 5.0.0\nAttributeError: Qwen2Tokenizer has no attribute lower\n"
    (only,) = explain(text)
    assert (only.cause, only.package, only.version) == ("requirement_violated", "transformers", "5.0.0")


def test_a_message_that_no_release_has_is_told_with_the_names_in_it() -> None:
    (only,) = explain("ValueError: The quux back end knows no layer of kind linear_v7, sorry about that\n")
    assert (only.cause, only.symbol, only.package) == ("unknown", "linear_v7", None)
    assert "No message in the sources of sglang or vllm" in only.fix.text


def test_a_class_that_another_package_makes_is_not_that_of_sglang_or_vllm() -> None:
    (only,) = explain(
        f'  File "{LIB}/transformers/modeling_utils.py", line 4097, in from_pretrained\n'
        "    model = cls(config, *model_args, **model_kwargs)\n"
        "TypeError: LlamaForCausalLM.__init__() got an unexpected keyword argument 'quux'\n"
    )
    assert (only.cause, only.package, only.symbol) == ("unknown", None, "LlamaForCausalLM(quux=)")
    assert only.evidence[-1] == "the last frame is in transformers"
    assert "not that of sglang or vllm" in only.fix.text


def test_an_argument_that_every_release_accepts_was_refused_by_an_older_one() -> None:
    (only,) = explain(
        f'  File "{LIB}/vllm/entrypoints/llm.py", line 53, in __init__\n'
        "    engine_args = EngineArgs(\n"
        "TypeError: __init__() got an unexpected keyword argument 'trust_remote_code'\n"
    )
    assert (only.cause, only.symbol) == ("unknown", "EngineArgs(trust_remote_code=)")
    assert only.fix.text.startswith("What is installed is older than vllm 0.1.4")


def test_an_object_of_python_s_own_in_another_package_leads_there() -> None:
    (only,) = explain(
        'File ".../transformers/models/auto/auto_factory.py", line 680, in register\n'
        '    if key.__module__.startswith("transformers."):\n'
        "AttributeError: 'str' object has no attribute '__module__'\n"
    )
    assert only.evidence[-1] == "the last frame is in transformers"
    assert "Python's own type str" in only.fix.text


def test_a_failure_of_another_package_alone_names_it_also_where_its_paths_are_links() -> None:
    (only,) = explain(
        "TypeError                                 Traceback (most recent call last)\n"
        "[/x/dist-packages/zmq/sugar/context.py](https://localhost:8080/#) in __init__(self)\n"
        "---> 65         super().__init__(io_threads=io_threads)\n\n"
        "TypeError: an integer is required\n"
    )
    assert (only.cause, only.package) == ("unknown", "pyzmq")


def test_a_message_that_passes_on_a_message_of_python_says_so() -> None:
    inner = "'RMSNormGated' object has no attribute 'activation'"
    (only,) = explain(
        f"RuntimeError: Worker failed with error '{inner}', please check the stack trace above for "
        "the root cause\n"
    )
    assert "passes on a failure of another place" in only.fix.text


def test_the_usage_message_tells_the_release_whose_command_refuses_an_option() -> None:
    usage = (
        "usage: vllm [-h] [-v]\n            {chat,complete,serve,launch,bench,collect-env,run-batch} ...\n"
    )
    (only,) = explain(f"{usage}vllm: error: unrecognized arguments: --enable-metrics\n")
    assert (only.cause, only.package, only.symbol) == ("unknown", "vllm", "--enable-metrics")
    assert "option of another command" in only.fix.text


def test_an_option_that_another_program_refuses_is_told_with_the_program() -> None:
    (only,) = explain("vllm-quux: error: unrecognized arguments: --api-key secret\n")
    assert (only.cause, only.package, only.symbol) == ("unknown", None, "--api-key")
    assert only.fix.text.startswith("vllm-quux has no option --api-key")


def test_a_global_of_another_project_is_not_a_subpackage_of_vllm() -> None:
    (only,) = explain(
        f'  File "{LIB}/fastchat/serve/vllm_worker.py", line 206, in api_get_conv\n'
        "    return worker.get_conv_template()\n"
        "NameError: name 'worker' is not defined\n"
    )
    assert (only.cause, only.package, only.symbol, only.fix.command) == ("unknown", None, "worker", None)
    assert "uses worker without having bound it" in only.fix.text


def test_a_name_that_only_later_releases_of_the_module_bind_is_a_defect() -> None:
    module = "sglang.srt.layers.quantization.compressed_tensors.compressed_tensors_moe"
    (only,) = explain(
        f'  File ".../sglang/python/{module.replace(".", "/")}.py", line 369, in __init__\n'
        "    and self.num_bits in WNA16_SUPPORTED_BITS\n"
        "NameError: name 'WNA16_SUPPORTED_BITS' is not defined\n",
        sglang="0.5.3",
    )
    assert (only.cause, only.module, only.symbol) == ("unknown", module, "WNA16_SUPPORTED_BITS")
    assert only.evidence[1] == f"{module}:WNA16_SUPPORTED_BITS exists in sglang 0.5.4 to 0.5.8.post1"


def test_an_argument_is_told_where_the_message_names_no_function() -> None:
    (only,) = explain("Fixes \"TypeError: Unexpected keyword argument 'quux_mode'\" error with vLLM.\n")
    assert (only.cause, only.symbol) == ("unknown", "(quux_mode=)")


def test_frames_of_notebooks_are_read_without_a_heading() -> None:
    (only,) = explain(
        "File /x/lib/python3.10/site-packages/dsp/modules/hf_client.py:138, in HFClientVLLM._generate(self)\n"
        "    136     payload = {\n"
        '--> 138         "model": kwargs["model"],\n\n'
        "KeyError: 'model'\n"
    )
    assert (only.cause, only.package) == ("unknown", "dsp")


def test_a_name_of_a_module_without_a_path_is_told_with_the_module() -> None:
    (only,) = explain("ImportError: cannot import name 'Router' from 'helpers'\n")
    assert (only.cause, only.package, only.module, only.symbol) == ("unknown", None, "helpers", "Router")


def test_a_library_that_some_other_package_asks_for_is_not_that_of_the_torch_of_vllm() -> None:
    error = "libcudart.so.12: cannot open shared object file: No such file or directory"
    (only,) = explain(f"vllm==0.20.2\nImportError: {error}\n")
    assert (only.cause, only.symbol) == ("missing_native_library", "libcudart.so.12")
    assert "torch" not in (only.fix.command or "")
    assert "if another package asks for it" in only.fix.text


def test_a_message_of_sglang_whose_rest_is_left_out_is_not_of_another_package() -> None:
    advice = "Please set a smaller number for `--max-running-requests`."
    (only,) = explain(f"RuntimeError: alloc_req_slots runs out of memory. {advice}")
    assert only.cause == "unknown"
    assert only.evidence[1].startswith("sglang/srt/managers/schedule_batch.py has this message in sglang ")
    assert not any("what it was given" in line for line in only.evidence)


def test_a_message_that_is_put_together_otherwise_is_not_of_another_package() -> None:
    (only,) = explain(
        "ValueError: quux_7: Please set a smaller number for `--max-running-requests`. or less\n"
    )
    assert "No message in the sources" not in only.fix.text


def test_a_class_of_both_packages_is_not_said_to_be_of_neither() -> None:
    (found,) = explain("AttributeError: 'Qwen2ForCausalLM' object has no attribute 'lm_head_bias'")
    assert found.cause == "unknown"
    assert found.fix.text.startswith("vllm and sglang each define a Qwen2ForCausalLM")


def test_a_name_that_no_release_with_its_module_lacks() -> None:
    module = "vllm.model_executor.parallel_utils.parallel_state"
    (found,) = explain(f"ImportError: cannot import name 'get_tensor_model_parallel_rank' from '{module}'")
    assert (found.cause, found.package) == ("unknown", "vllm")
    assert "exists in vllm 0.1.4 to 0.4.0.post1" in found.evidence[1]
    assert "the files are of two releases" in found.fix.text
