"""Every error class has a documented exit code, and the line in `--help` explains all of them."""

import inspect
import re

import pytest

from compat import errors

CONTRACT = {
    0: "clean",
    1: "findings",
    2: "usage",
    3: "nothing",
    4: "network",
    130: "interrupted",
    141: "reader",
}


def error_classes() -> list[type[errors.CompatError]]:
    return [
        value
        for value in vars(errors).values()
        if inspect.isclass(value) and issubclass(value, errors.CompatError)
    ]


@pytest.mark.parametrize("error", error_classes(), ids=lambda error: error.__name__)
def test_an_error_ends_with_a_code_that_means_failure(error: type[errors.CompatError]) -> None:
    assert error.exit_code in CONTRACT.keys() - {0, 130, 141}
    assert error.__doc__


def test_every_exit_code_has_an_error_class() -> None:
    """The test above finds the classes: usage, nothing selected and environment all occur."""
    assert {error.exit_code for error in error_classes()} >= {2, 3, 4}


def test_the_line_in_help_explains_every_exit_code() -> None:
    told = dict(re.findall(r"(\d+) (\w+)", errors.EXIT_CODES))
    assert told == {str(code): word for code, word in CONTRACT.items()}
    named = (errors.CLEAN, errors.FINDINGS, errors.USAGE, errors.NOTHING_SELECTED, errors.ENVIRONMENT)
    assert [*named, errors.INTERRUPTED, errors.READER_LEFT] == list(CONTRACT)
