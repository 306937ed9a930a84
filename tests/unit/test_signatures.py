"""Signatures: which changes keep every call valid, and how two are compared."""

import json

import pytest

from compat.model.signatures import CallChange, accepts_same_calls, changes


def class_signature(**methods: str) -> str:
    return json.dumps(methods)


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("(x, y)", "(x, y)", True),
        ("(x)", "(x, y=1)", True),
        ("(x)", "(x=None)", True),
        ("(x)", "(x, *, y=1)", True),
        ("(x, *, y=1)", "(x, y=1)", True),
        ("(x)", "(x, **more)", True),
        ("(x)", "(x, y)", False),
        ("(x, y=1)", "(x, z=1, y=1)", False),
        ("(x, y=1)", "(x)", False),
        ("(x, y)", "(y, x)", False),
        ("(x, y=1)", "(x, y)", False),
        ("(x, *, y)", "(x)", False),
        ("(x)", "(x, *, y)", False),
        ("(x, **more)", "(x)", False),
        ("(x, d=...)", "(x, d=..., e=...)", True),
    ],
)
def test_a_signature_may_gain_what_no_call_has_to_pass(old: str, new: str, *, same: bool) -> None:
    assert accepts_same_calls(old, new) is same
    as_class = (class_signature(__init__=each.replace("(", "(self, ")) for each in (old, new))
    assert accepts_same_calls(*as_class) is same


def test_other_methods_of_a_class_have_to_be_equal() -> None:
    old = class_signature(__init__="(self)", apply="(self, x)")
    assert not accepts_same_calls(old, class_signature(__init__="(self)", apply="(self, x, y=1)"))
    assert not accepts_same_calls(old, class_signature(__init__="(self)"))


def test_changes_are_listed_by_method_and_a_class_by_its_constructor() -> None:
    old = class_signature(__init__="(self, x)", apply="(self, x)", create_weights="(self)")
    new = class_signature(__init__="(self, y)", apply="(self, x)")
    assert changes(old, new) == (
        CallChange("__init__", "(self, x)", "(self, y)"),
        CallChange("create_weights", "(self)", None),
    )
    assert changes(old, "(x)") == (CallChange("", "(self, x)", "(x)"),)
