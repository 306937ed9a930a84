"""The output of `compat init`: what was found, the changes as a diff, and what to do next."""

import difflib
from collections.abc import Iterator, Sequence

from compat._cli import console
from compat._cli.printable import printable
from compat.init.proposals import PRE_COMMIT, Change, InitOptions, Proposal
from compat.init.repository import Repository

WORDS = {
    False: {Change.CREATE: "would create", Change.ADD: "would add to", Change.KEEP: "would keep"},
    True: {Change.CREATE: "created", Change.ADD: "added to", Change.KEEP: "kept"},
}


def as_text(
    repository: Repository, proposals: Sequence[Proposal], options: InitOptions, *, written: bool
) -> str:
    """Return the proposals as text, with a diff unless they were written."""
    lines = [*_found(repository), ""]
    for each in proposals:
        reason = f": {each.reason}" if each.reason else ""
        lines.append(f"{WORDS[written][each.change]} {each.name}{reason}")
    if not written:
        for each in proposals:
            lines += _diff(each)
    lines += ["", *_next(proposals, options, written=written)]
    return "\n".join(map(printable, lines))


def as_json(
    repository: Repository, proposals: Sequence[Proposal], options: InitOptions, *, written: bool
) -> str:
    """Return the proposals as the JSON document of `compat init`."""
    return console.document(
        "init",
        root=str(repository.root),
        pins={package: dict(pins) for package, pins in repository.pins.items()},
        used=list(repository.used),
        written=written,
        files=[
            {"path": each.name, "change": each.change.value, "reason": each.reason, "text": each.after}
            for each in proposals
        ],
        next=list(_next(proposals, options, written=written)),
    )


def _found(repository: Repository) -> Iterator[str]:
    yield f"repository  {repository.root}"
    for package in repository.used:
        pins = repository.pins.get(package, {})
        found = ", ".join(f"{specifier} in {name}" for specifier, name in pins.items())
        yield f"{package:10}  {found or 'used, but not pinned'}"
    if not repository.used:
        yield "neither sglang nor vllm is named in a Python file here"


def _diff(proposal: Proposal) -> Iterator[str]:
    if proposal.change is Change.KEEP:
        return
    old = "/dev/null" if proposal.change is Change.CREATE else f"a/{proposal.name}"
    yield ""
    yield from difflib.unified_diff(
        proposal.before.splitlines(), proposal.after.splitlines(), old, f"b/{proposal.name}", lineterm=""
    )


def _next(proposals: Sequence[Proposal], options: InitOptions, *, written: bool) -> Iterator[str]:
    if not written:
        if any(each.change is not Change.KEEP for each in proposals):
            yield "nothing was written; --write writes it"
        if not options.pairs:
            yield "your own tests beside pairs of releases: compat init --pair SGLANG VLLM"
        return
    yield "next: compat scan ."
    if any(each.name == PRE_COMMIT and each.change is not Change.KEEP for each in proposals):
        yield "next: pre-commit install"
    if options.pairs:
        yield f"next: pip install '{options.requirement('matrix')}'"
    for pair in options.pairs:
        if pair.sglang and pair.vllm:
            yield f"next: compat pairs {pair.sglang} {pair.vllm} --format toml"
        yield f"next: compat pairs lock {pair.id}; compat matrix run {pair.id} --level tests"
