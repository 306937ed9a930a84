"""What a scan does not work out: rules that are left out, and what it knows already of other releases."""

from pathlib import Path

import pytest

from compat.callables.by_release import AnswersByRelease
from compat.callables.signatures import Signatures
from compat.index.extended import open_index
from compat.scan.calls.callees import Callees
from compat.scan.check import scanned_tree
from compat.scan.cli import main, scan
from compat.scan.fits import for_fits
from compat.scan.options import parse
from compat.scan.settings import readers
from compat.scan.sources.source_file import Source
from compat.scan.sources.source_file import parse as parse_source
from compat.sources.extended_outlines import open_outlines

CODE = "from vllm import LLM\n\nLLM('m', no_such_argument=1)\n"


def _refuse(*_: object) -> None:
    raise AssertionError("a rule that is left out was worked out")


def test_calls_are_not_read_when_their_rules_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.py").write_text(CODE)
    monkeypatch.setattr(scanned_tree, "call_sites", _refuse)
    monkeypatch.setattr(scanned_tree, "open_outlines", _refuse)
    assert main([str(tmp_path), "--vllm", "latest", "--select", "CPT001"]) == 0
    with pytest.raises(AssertionError, match="left out"):
        main([str(tmp_path), "--vllm", "latest", "--select", "CPT001,CPT005"])


@pytest.mark.parametrize(("rule", "reader"), [("CPT007", "commands"), ("CPT008", "variables_set")])
def test_only_the_selected_rule_about_settings_reads_scripts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rule: str, reader: str
) -> None:
    (tmp_path / "run.sh").write_text("VLLM_NO_SUCH=1 vllm serve m --no-such-option\n")
    monkeypatch.setattr(readers, reader, _refuse)
    assert main([str(tmp_path), "--vllm", "latest", "--select", rule]) == 0
    with pytest.raises(AssertionError, match="left out"):
        main([str(tmp_path), "--vllm", "latest", "--select", "CPT007,CPT008"])


def test_the_scan_for_the_fits_leaves_out_what_does_not_count(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("import sglang\n" + CODE)
    options = for_fits(parse([str(tmp_path)]), ["vllm"])
    assert options.select == {"CPT000", "CPT001", "CPT002", "CPT005", "CPT006", "CPT008", "CPT009"}
    assert [each.package for each in scan(options).release_sets] == ["vllm"]


def test_a_file_is_parsed_once_for_the_newest_releases_and_for_those_that_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.py").write_text(CODE)
    parsed: list[str] = []

    def parse_noted(path: str, data: bytes) -> Source:
        parsed.append(path)
        return parse_source(path, data)

    monkeypatch.setattr(scanned_tree, "parse", parse_noted)
    assert [each.package for each in scan(parse([str(tmp_path)])).fits] == ["vllm"]
    assert parsed == [str(tmp_path / "a.py")]


def test_an_answer_holds_no_longer_than_the_answers_it_rests_on() -> None:
    index = open_index(())
    callees = Callees(index, open_outlines(index), "vllm", range(len(index.versions("vllm"))))
    inner = callees.places("vllm.v1.core.kv_cache_manager.KVCacheManager")
    outer: AnswersByRelease[bool] = callees.answers(lambda signatures: inner.at(signatures.at) is not None)
    every = range(index.published("vllm"))
    found = [outer.at(release) for release in every]
    assert found == [inner.at(release) is not None for release in every]
    assert set(found) == {True, False}


def test_releases_with_one_answer_are_asked_once() -> None:
    index = open_index(())
    callees = Callees(index, open_outlines(index), "vllm", range(len(index.versions("vllm"))))
    asked = []

    def ask(signatures: Signatures) -> str:
        asked.append(signatures.at)
        return signatures.kind("vllm.v1.core.kv_cache_manager", "KVCacheManager")

    answers: AnswersByRelease[str] = callees.answers(ask)
    releases = range(0, index.published("vllm"), 3)
    runs = list(answers.runs(releases))
    assert [slot for slots, _ in runs for slot in slots] == list(range(len(releases)))
    assert [found for slots, found in runs for _ in slots] == [answers.at(release) for release in releases]
    assert len(asked) == len(runs) < len(releases)


@pytest.mark.parametrize("script", ["python -m other.serve --port 1\n", "vllm serve m\n"])
def test_a_script_that_gives_the_packages_no_option_is_not_read(
    monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    monkeypatch.setattr(readers, "commands", _refuse)
    assert [part.commands() for part in readers.contents("shell", script)] == [[]]
    with pytest.raises(AssertionError, match="left out"):
        next(readers.contents("shell", "vllm serve m --port 1\n")).commands()
