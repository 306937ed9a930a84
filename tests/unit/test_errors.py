"""Every error has an exit code of the contract, and help tells what the codes mean."""

import inspect
import re

import pytest

from compat import errors

CONTRACT = {0: "clean", 1: "findings", 2: "usage", 3: "nothing", 4: "network", 130: "interrupted"}


def error_classes() -> list[type[errors.CompatError]]:
    return [
        value
        for value in vars(errors).values()
        if inspect.isclass(value) and issubclass(value, errors.CompatError)
    ]


@pytest.mark.parametrize("error", error_classes(), ids=lambda error: error.__name__)
def test_an_error_ends_with_a_code_that_means_failure(error: type[errors.CompatError]) -> None:
    assert error.exit_code in CONTRACT.keys() - {0, 130}
    assert error.__doc__


def test_errors_of_every_kind_are_there() -> None:
    """The test above sees the classes: usage, nothing selected and environment are all in use."""
    assert {error.exit_code for error in error_classes()} >= {2, 3, 4}


def test_the_line_in_help_is_the_contract() -> None:
    told = dict(re.findall(r"(\d+) (\w+)", errors.EXIT_CODES))
    assert told == {str(code): word for code, word in CONTRACT.items()}
    named = (errors.CLEAN, errors.FINDINGS, errors.USAGE, errors.NOTHING_SELECTED, errors.ENVIRONMENT)
    assert [*named, errors.INTERRUPTED] == list(CONTRACT)
