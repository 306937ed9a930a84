"""How the probe recognizes stubs by bytecode, which differs between Python versions."""

import abc
import typing
from collections.abc import AsyncIterator, Iterator

import pytest

from compat.probe import probe


class Empty:
    pass


class Dummy:
    """A stub."""

    level = 1
    name: str

    def refuse(self, *_: object) -> None:
        raise NotImplementedError("not here")

    @staticmethod
    def nothing() -> None:
        return None

    @classmethod
    def three(cls) -> int:
        return 3


class Abstract(abc.ABC):
    @abc.abstractmethod
    def method(self) -> None:
        raise NotImplementedError


class Protocol(typing.Protocol):
    def method(self) -> int: ...


class Real:
    def method(self, given: int) -> int:
        return given


class Holder:
    table: typing.ClassVar = [1]


class Derived(Real):
    pass


def passes() -> None:
    pass


def refuses(*_: object) -> None:
    raise ImportError("not here")


def gives_three() -> int:
    return 3


def gives_back(given: int) -> int:
    return given


def makes() -> Real:
    return Real()


def stops() -> None:
    raise StopError


class StopError(Exception):
    pass


def yields() -> Iterator[None]:
    yield


async def yields_later() -> AsyncIterator[None]:
    yield


@pytest.mark.parametrize(
    ("value", "stub"),
    [
        (None, "none"),
        (typing.Any, "any"),
        *((cls, "hollow class") for cls in (Empty, Dummy, Abstract, Protocol)),
        *(
            (function, "hollow function")
            for function in (passes, refuses, stops, gives_three, lambda *_: None)
        ),
        *((cls, None) for cls in (Real, Holder, Derived, StopError, int)),
        *((function, None) for function in (gives_back, makes, yields, yields_later, len)),
        (3, None),
        (abc, None),
    ],
)
def test_stubs_are_distinguished_from_real_objects(value: object, stub: str | None) -> None:
    assert probe.stub_of(value) == stub
