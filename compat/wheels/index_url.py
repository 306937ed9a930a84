"""The URL of the package index that uv or pip is configured with."""

import configparser
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

VARIABLES = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL")
"""The environment variables that name an index, the one with the highest priority first."""


def index_url() -> str | None:
    """Return the URL of the configured index, or None when no configuration names one.

    The environment comes first, then uv's configuration files, then pip's. Only an index that is read over
    HTTP counts; directories and additional indexes are ignored.
    """
    return next((url for url in _candidates() if url.startswith(("https://", "http://"))), None)


def _candidates() -> Iterator[str]:
    for variable in VARIABLES:
        yield os.environ.get(variable, "").strip()
    for path in _uv_files():
        yield from _uv_urls(path)
    # pip lets a later file override an earlier one.
    for path in reversed(_pip_files()):
        yield from _pip_urls(path)


def _home() -> Path:
    """Return the user's home folder, or `~`, where no file is, for a user without one."""
    return Path(os.path.expanduser("~"))  # noqa: PTH111 -- Path.home would raise an exception


def _config_home() -> Path:
    return Path(os.environ.get("XDG_CONFIG_HOME") or _home() / ".config")


def _uv_files() -> list[Path]:
    named = os.environ.get("UV_CONFIG_FILE")
    return [Path(named)] if named else [_config_home() / "uv" / "uv.toml", Path("/etc/uv/uv.toml")]


def _uv_urls(path: Path) -> Iterator[str]:
    try:
        settings: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return  # uv itself reports a broken configuration file
    indexes = settings.get("index")
    for index in indexes if isinstance(indexes, list) else []:
        if isinstance(index, dict) and index.get("default"):
            yield str(index.get("url", ""))
    yield str(settings.get("index-url", ""))


def _pip_files() -> list[Path]:
    """Return pip's configuration files, the one with the highest priority last."""
    named = os.environ.get("PIP_CONFIG_FILE")
    if named == os.devnull:
        return []  # pip's documented way to read no file at all
    folders = os.environ.get("XDG_CONFIG_DIRS") or "/etc/xdg"
    files = [
        *(Path(folder) / "pip" / "pip.conf" for folder in folders.split(":")),
        Path("/etc/pip.conf"),
        _home() / ".pip" / "pip.conf",
        _config_home() / "pip" / "pip.conf",
        Path(sys.prefix) / "pip.conf",
    ]
    return [*files, Path(named)] if named else files


def _pip_urls(path: Path) -> Iterator[str]:
    parser = configparser.RawConfigParser()
    try:
        parser.read(path, encoding="utf-8")
    except (configparser.Error, ValueError):
        return
    for section in ("install", "global"):
        for key in ("index-url", "index_url"):
            yield parser.get(section, key, fallback="").strip()
