"""The configured package index: from the environment, then uv's files, then pip's."""

import os
from pathlib import Path

import pytest

from compat.wheels import index_url


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Set up a home folder and an interpreter without any configuration."""
    for name in (*index_url.VARIABLES, "UV_CONFIG_FILE", "PIP_CONFIG_FILE", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(tmp_path / "xdg"))
    monkeypatch.setattr("sys.prefix", str(tmp_path / "venv"))
    return tmp_path


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_nothing_configured_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    assert index_url.index_url() is None


def test_the_environment_comes_first_and_uv_before_pip(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(home / ".config/uv/uv.toml", 'index-url = "https://uv.test/simple"\n')
    write(home / ".config/pip/pip.conf", "[global]\nindex-url = https://pip.test/simple\n")
    assert index_url.index_url() == "https://uv.test/simple"
    for name in reversed(index_url.VARIABLES):
        monkeypatch.setenv(name, f"https://{name.lower().replace('_', '-')}.test/simple")
        assert index_url.index_url() == f"https://{name.lower().replace('_', '-')}.test/simple"


def test_uv_names_its_default_among_several(home: Path) -> None:
    write(
        home / ".config/uv/uv.toml",
        '[[index]]\nurl = "https://extra.test/simple"\n'
        '[[index]]\nurl = "https://main.test/simple"\ndefault = true\n',
    )
    assert index_url.index_url() == "https://main.test/simple"


@pytest.mark.parametrize(
    "text",
    [
        "[global]\nindex-url = https://pip.test/simple\n",
        "[global]\nindex_url=https://pip.test/simple\nextra-index-url = https://extra.test\n   https://more.test\n",
        "[global]\nindex-url = https://wrong.test\n[install]\nindex-url = https://pip.test/simple\n",
    ],
)
def test_pip_is_read_as_pip_reads_itself(home: Path, text: str) -> None:
    write(home / ".config/pip/pip.conf", text)
    assert index_url.index_url() == "https://pip.test/simple"


def test_the_strongest_of_pips_files_wins(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for place in ("xdg/pip/pip.conf", ".pip/pip.conf", ".config/pip/pip.conf", "venv/pip.conf"):
        write(home / place, f"[global]\nindex-url = https://{place.count('.')}.test/{place}\n")
        assert (index_url.index_url() or "").endswith(place)
    monkeypatch.setenv("PIP_CONFIG_FILE", str(home / "named.conf"))
    write(home / "named.conf", "[global]\nindex-url = https://named.test\n")
    assert index_url.index_url() == "https://named.test"


@pytest.mark.parametrize("value", ["file:///srv/simple", "/srv/simple", ""])
def test_an_index_that_is_not_on_the_web_is_passed_over(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", value)
    monkeypatch.setenv("PIP_INDEX_URL", "https://pip.test/simple")
    assert index_url.index_url() == "https://pip.test/simple"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("uv/uv.toml", "index-url = ["),
        ("uv/uv.toml", 'index = ["https://no.table"]'),
        pytest.param("uv/uv.toml", f"index = {'[' * 100_000}", id="nested"),
        ("pip/pip.conf", "no section\n"),
    ],
)
def test_a_broken_file_of_others_is_left_to_them(home: Path, name: str, text: str) -> None:
    write(home / ".config" / name, text)
    write(home / "venv/pip.conf", "[global]\nindex-url = https://pip.test/simple\n")
    assert index_url.index_url() == "https://pip.test/simple"
