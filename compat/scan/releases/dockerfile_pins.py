"""Read from a Dockerfile which releases its base images and its `pip install` lines contain."""

import re
from collections.abc import Iterator

_IMAGES = {"vllm": re.compile(r"vllm-\w[\w.-]*|vllm"), "sglang": re.compile(r"sglang")}
"""The names under which the projects, and mirrors of them, publish their images."""
_OWNERS = frozenset({"vllm", "lmsysorg"})
_TAG = re.compile(r"v?(\d+\.\d+(?:\.\d+)*(?:\.?(?:post|rc|dev)\d+)?)(?:-.*)?")
_VARIABLE = re.compile(r"\$\{(\w+)(?::?-([^}]{0,200}))?\}|\$(\w+)")
_MOST = 20
"""Variables in one line that are replaced."""


def image_pins(text: str) -> Iterator[str]:
    """Yield requirements: `vllm==0.11.0` for a base image of that release, and other lines as they are."""
    variables: dict[str, str] = {}
    for line in text.replace("\\\n", " ").splitlines():
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        instruction = words[0].upper()
        if instruction in ("ARG", "ENV"):
            for word in words[1:]:
                name, sign, value = word.partition("=")
                if sign:
                    variables[name] = _replaced(value.strip("'\""), variables)
        elif instruction == "FROM":
            images = [word for word in words[1:] if not word.startswith("--")]
            yield from filter(None, [image_requirement(_replaced(images[0], variables))] if images else [])
        else:
            yield _replaced(line, variables)


def image_requirement(image: str) -> str | None:
    """Return the requirement that the tag of an image of the projects states, None for any other image."""
    repository, _, tag = image.partition("@")[0].rpartition(":")
    *owners, name = repository.split("/")
    match = _TAG.fullmatch(tag)
    if match is None:
        return None
    for package, names in _IMAGES.items():
        published = name in (package, f"{package}-openai") or not _OWNERS.isdisjoint(owners[-1:])
        if published and names.fullmatch(name):
            return f"{package}=={match[1]}"
    return None


def _replaced(text: str, variables: dict[str, str]) -> str:
    """Return a text with the values of the variables that the file itself sets."""

    def value(match: re.Match[str]) -> str:
        return variables.get(match[1] or match[3], match[2] or "")[:1_000]

    return _VARIABLE.sub(value, text, count=_MOST)
