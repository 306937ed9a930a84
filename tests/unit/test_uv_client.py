"""The commands that uv is given."""

from pathlib import Path

from compat.uv.client import install_command


def test_an_installation_checks_hashes_and_names_no_index() -> None:
    command = install_command(Path("uv"), Path("env"), Path("locks/seed.txt"))
    assert {"--require-hashes", "--no-deps"} <= set(command)
    assert command[-2:] == ["--requirements", "locks/seed.txt"]
    assert not [word for word in command if "index" in word or "://" in word]
