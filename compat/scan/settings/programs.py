"""Find the programs of the packages in command lines, and the options that they are called with."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from compat.model.package_names import SGLANG, VLLM
from compat.scan.settings.model import Command, Word
from compat.scan.settings.shell import SHOWS
from compat.settings.names import Program, module_program, subcommand

_OPTION = re.compile(r"(--[A-Za-z][\w-]*)(?:[.=+].*)?", re.DOTALL)
"""An option, perhaps with a value, or with the path to a key of its value: `--compilation-config.mode=3`."""
_IMAGE = re.compile(r"(?:[\w.-]+(?::\d+)?/)*vllm/vllm-openai(?::([\w.-]+))?(?:@\S*)?")
"""The image whose entry point is the server."""
_TAG = re.compile(r"v?(\d+\.\d+[\w.]*)")
_PATH = re.compile(r"(?:^|/)((?:vllm|sglang)/(?:\w{1,60}/){0,5}\w{1,60})\.py$")
_RUNNERS = frozenset({"docker", "podman", "nerdctl"})

_FEW = 5
"""Words that may stand before a program: `nohup env X=1 python -u -m sglang.launch_server`."""


class OptionUse(NamedTuple):
    """An option on the command line of a program."""

    program: Program
    option: str
    """Its name, with dashes in place of underscores, such as `--tensor-parallel-size`."""
    word: Word
    release: str
    """The release that the tag of the container's image names; empty if there is none."""


class _Call(NamedTuple):
    """A program in a command line."""

    program: Program
    arguments: Sequence[Word]
    release: str = ""


def option_uses(commands: Iterable[Command]) -> list[OptionUse]:
    """Return the options with which some command lines call the programs, in source order.

    A word that stands for the value of a variable counts as the words that the same commands assign to that
    variable, unless another program gets them, too.
    """
    every = [(command, _call(command)) for command in commands]
    calls = [call for command, call in every if call and not command.assigned]
    calls += [call for command, call in every if call and command.assigned]
    if not calls:
        return []
    of: dict[str, set[Program]] = {}
    for call in calls:
        for word in call.arguments:
            if word.reference:
                of.setdefault(word.reference, set()).add(call.program)
    foreign = {
        word.reference
        for command, call in every
        if not command.assigned and call is None
        for word in command.words
        if word.reference
    }
    found = [
        OptionUse(call.program, option, word, call.release)
        for call in calls
        for option, word in _options(call)
    ]
    for command, called in every:
        programs = of.get(command.assigned, set())
        if len(programs) == 1 and command.assigned not in foreign and called is None:
            (program,) = programs
            found += [OptionUse(program, *each, "") for each in _options(_Call(program, command.words))]
    return sorted(set(found), key=lambda use: use.word.start)


def begins_with_program(command: Command) -> bool:
    """Return whether a command line calls a program, with no more than a few words before it."""
    texts = [word.text for word in command.words[: _FEW + 2]]
    return any(_program(texts, at) is not None for at in range(min(_FEW, len(texts))))


def release_of_image(image: str) -> str | None:
    """Return the release in the tag of vllm's server image, empty if it names none; None for other images."""
    match = _IMAGE.fullmatch(image)
    if match is None:
        return None
    tag = _TAG.match(match[1] or "")
    return tag[1] if tag else ""


def _call(command: Command) -> _Call | None:
    """Return the program that a command line calls."""
    words = command.words
    texts = [word.text for word in words]
    for at, text in enumerate(texts):
        if text in SHOWS:
            return None
        found = _program(texts, at)
        if found is not None:
            program, length = found
            return _Call(program, words[at + length :], release_of_image(command.image) or "")
    if command.image and (release := release_of_image(command.image)) is not None:
        return _Call(_SERVER, words, release)
    if _RUNNERS.isdisjoint(texts) or any(text.startswith("--entrypoint") for text in texts):
        return None
    for at, text in enumerate(texts):
        release = release_of_image(text)
        if release is not None:
            return _Call(_SERVER, words[at + 1 :], release)
    return None


def _program(texts: Sequence[str], at: int) -> tuple[Program, int] | None:
    """Return the program that is called at a word, and the number of words that name it."""
    text = texts[at]
    following = texts[at + 1] if at + 1 < len(texts) else ""
    name = text.rpartition("/")[2]
    if name in (VLLM, SGLANG):
        program = subcommand(name, following)
        return (program, 2) if program else None
    if text == "-m":
        program = module_program(following)
        return (program, 2) if program else None
    path = _PATH.search(text)
    program = module_program(path[1].replace("/", ".")) if path else None
    return (program, 1) if program else None


def _options(call: _Call) -> Iterator[tuple[str, Word]]:
    for word in call.arguments:
        if word.text == "--":
            return
        match = _OPTION.fullmatch(word.text)
        if match:
            yield match[1].replace("_", "-"), word


def _server() -> Program:
    program = subcommand(VLLM, "serve")
    assert program is not None  # noqa: S101 -- the table of programs has it
    return program


_SERVER = _server()
"""What the server image runs."""
