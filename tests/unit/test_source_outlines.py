"""Outlines of source files: extraction, the data file, and the releases that places in a log fit."""

from pathlib import Path
from textwrap import dedent

import pytest

from compat.errors import IntegrityError
from compat.index.extract.module_visitor import parsed
from compat.source_outlines.extract import read_outline, template
from compat.source_outlines.reader import SourceOutlines, indexes, outlines_by_release
from compat.source_outlines.records import EMPTY, Outline, decode, encode
from compat.source_outlines.release_fit import Sighting, fit
from compat.source_outlines.writer import PackageOutlines, write_outlines

OLD = """
    import logging

    class Engine(Base):
        size: int = 3

        def start(self, model, *, seed=0, **kwargs):
            if model is None:
                raise ValueError(f"no model for {self.size} workers")
            return Config(**kwargs)

    logger.info("started %s", 1)
"""
NEW = "\n# a line more\n" + dedent(OLD)


def outline(text: str) -> Outline:
    source = dedent(text).encode()
    return read_outline(parsed(source), source)


@pytest.fixture
def outlines(tmp_path: Path) -> SourceOutlines:
    package = PackageOutlines("vllm")
    package.add("1.0", {"vllm/engine.py": outline(OLD), "vllm/other.py": outline("x = 1\n")})
    package.add("1.1", {"vllm/engine.py": outline(OLD)})
    package.add("2.0", {"vllm/engine.py": outline(NEW)})
    write_outlines(tmp_path / "sources.sqlite", [package])
    return SourceOutlines(tmp_path / "sources.sqlite")


def seen(line: int, function: str = "start", source: str = "", path: str = "vllm/engine.py") -> Sighting:
    return Sighting(path=f"/x/site-packages/{path}", line=line, function=function, source=source)


def releases(outlines: SourceOutlines, *places: Sighting) -> list[str]:
    found = fit(outlines, "vllm", "vllm", places)
    return [outlines.versions("vllm")[at] for at in indexes(found.releases)] if found else []


def test_definitions_have_their_lines_parameters_and_bases() -> None:
    engine, start = outline(OLD).definitions
    assert (engine.name, engine.start, engine.body, engine.end) == ("Engine", 4, 5, 10)
    assert engine.detail == "Base||size="
    assert (start.name, start.start, start.end) == ("start", 7, 10)
    assert start.detail == "self,model,*,seed=,**kwargs||Config"


@pytest.mark.parametrize(
    ("body", "handed"),
    [
        ("return G(**kw)", "G"),
        ('if "x" in kw: kw["y"] = kw.get("x")\n    return G(**kw)', "G"),
        ('kw.pop("x")\n    return G(**kw)', "G,?x"),
        ('kw.pop("x")\n    del kw["y"]\n    return G(**kw)', "G,?x,?y"),
        ("kw.pop(name)\n    return G(**kw)", "G,?*"),
        ("clean(kw)\n    return G(**kw)", "G,?*"),
        ('return kw.pop("x")', ""),
    ],
)
def test_what_a_function_takes_out_of_what_it_hands_on_is_marked(body: str, handed: str) -> None:
    (function,) = outline(f"def f(**kw):\n    {body}\n").definitions
    assert function.detail == f"**kw||{handed}".rstrip("|")


def test_a_validator_that_sees_all_arguments_is_marked() -> None:
    text = """
        class Config:
            @model_validator(mode="before")
            def first(cls, values): ...
            @model_validator(mode="after")
            def last(self): ...
    """
    _, first, last = outline(text).definitions
    assert (first.detail, last.detail) == ("cls,values|model_validator_before", "self|model_validator")


def test_options_of_a_parser_are_definitions() -> None:
    (option,) = outline('parser.add_argument("-m", "--model-path", type=str)').definitions
    assert (option.kind, option.name, option.start) == ("o", "--model-path", 1)


def test_a_message_has_its_values_left_out_and_its_guard() -> None:
    (message,) = outline(OLD).messages
    assert (message.kind, message.template, message.guard) == (
        "ValueError",
        "no model for \0 workers",
        "model is None",
    )


def test_a_message_behind_a_failed_import_names_the_import() -> None:
    text = """
        try:
            import flashinfer.norm
        except ImportError as error:
            logger.warning("flashinfer cannot be used here")
    """
    (message,) = outline(text).messages
    assert message.guard == "ImportError of import flashinfer.norm"


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("'a ' + name + ' b'", "a \0 b"),
        ("'a %s' % name", "a %s"),
        ("'a {}'.format(name)", "a {}"),
        ("name", None),
    ],
)
def test_texts_are_read_from_every_way_to_put_them_together(source: str, text: str | None) -> None:
    tree = parsed(source.encode())
    assert tree is not None
    assert template(tree.body[0].value) == text  # type: ignore[attr-defined]


def test_a_file_that_is_no_python_has_an_empty_outline() -> None:
    assert read_outline(parsed(b"def ("), b"def (") is EMPTY


def test_definitions_are_decoded_as_they_were_encoded() -> None:
    definitions = outline(NEW).definitions
    assert decode(encode(definitions)) == definitions


def test_a_frame_fits_the_releases_that_have_its_function_there(outlines: SourceOutlines) -> None:
    assert releases(outlines, seen(9)) == ["1.0", "1.1", "2.0"]
    assert releases(outlines, seen(7)) == ["1.0", "1.1"]
    assert releases(outlines, seen(12)) == ["2.0"]


def test_the_text_of_a_line_tells_releases_apart(outlines: SourceOutlines) -> None:
    assert releases(outlines, seen(10, source="return Config(**kwargs)")) == ["1.0", "1.1"]
    assert releases(outlines, seen(12, source="return Config(**kwargs)")) == ["2.0"]


def test_a_line_whose_text_was_changed_in_the_log_still_counts_by_its_number(
    outlines: SourceOutlines,
) -> None:
    assert releases(outlines, seen(7, source="def start(self, mod...")) == ["1.0", "1.1"]


def test_a_logging_call_fits_by_its_file_name_alone(outlines: SourceOutlines) -> None:
    assert releases(outlines, Sighting(path="engine.py", line=12, logged=True)) == ["1.0", "1.1"]
    assert releases(outlines, Sighting(path="engine.py", line=14, logged=True)) == ["2.0"]
    assert releases(outlines, Sighting(path="engine.py", line=8, logged=True)) == []


def test_a_prefix_that_contradicts_the_frames_is_ignored(outlines: SourceOutlines) -> None:
    assert releases(outlines, seen(7), Sighting(path="engine.py", line=14, logged=True)) == ["1.0", "1.1"]


def test_a_frame_that_no_release_has_is_a_fork(outlines: SourceOutlines) -> None:
    found = fit(outlines, "vllm", "vllm", [seen(8), seen(999)])
    assert found is not None
    assert (found.releases, found.unfitting, found.places) == (0, 1, 2)
    elsewhere = fit(outlines, "vllm", "vllm", [seen(1, path="vllm/fork_only.py")])
    assert elsewhere is not None
    assert elsewhere.unfitting == 1


def test_a_folder_that_is_only_called_so_is_no_frame_of_the_package(outlines: SourceOutlines) -> None:
    assert (
        fit(outlines, "vllm", "vllm", [Sighting(path="/home/u/vllm/mine.py", line=3, function="f")]) is None
    )


def test_a_module_does_not_run_inside_its_functions(outlines: SourceOutlines) -> None:
    assert releases(outlines, seen(9, "<module>")) == ["2.0"]  # in the others it is inside `start`


def test_the_file_has_the_same_bytes_for_the_same_content(outlines: SourceOutlines, tmp_path: Path) -> None:
    again = PackageOutlines("vllm")
    for version, files in zip(outlines.versions("vllm"), outlines_by_release(outlines, "vllm"), strict=True):
        again.add(version, files)
    write_outlines(tmp_path / "again.sqlite", [again])
    assert (tmp_path / "again.sqlite").read_bytes() == (tmp_path / "sources.sqlite").read_bytes()


def test_messages_keep_their_releases(outlines: SourceOutlines) -> None:
    (message,) = tuple(outlines.messages("vllm"))
    assert (message.path, message.kind, indexes(message.releases)) == (
        "vllm/engine.py",
        "ValueError",
        [0, 1, 2],
    )


def test_a_missing_or_foreign_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match="outlines are missing"):
        SourceOutlines(tmp_path / "none")
    (tmp_path / "empty").touch()
    with pytest.raises(IntegrityError, match="format 0"):
        SourceOutlines(tmp_path / "empty")
