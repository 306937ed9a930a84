"""The source of the documentation site: a page for each command, rule and cause, and no link to nowhere."""

import re
from pathlib import Path

import pytest

import docs_site
from compat import __main__, errors
from compat.rule.pages import pages

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("site")
    docs_site.write_site(target)
    return target


@pytest.mark.parametrize("name", sorted(__main__.COMMANDS))
def test_a_command_has_a_page_with_all_its_options(name: str, site: Path) -> None:
    text = (site / f"commands/compat-{name}.md").read_text()
    parser = __main__.parser(complete=True)
    (commands,) = (dict(docs_site._subparsers(parser)),)
    for action in commands[name]._actions:
        assert all(f"`{option}" in text for option in action.option_strings)
    assert f"(compat-{name}.md)" in (site / "commands/index.md").read_text()


def test_every_rule_and_cause_has_a_page(site: Path) -> None:
    for each in pages():
        assert (site / f"rules/{each.name}.md").read_text() == each.text


def test_the_exit_codes_are_those_of_the_help(site: Path) -> None:
    rows = re.findall(r"^\| (\d+) \| (.+) \|$", (site / "commands/index.md").read_text(), flags=re.MULTILINE)
    assert "exit codes: " + ", ".join(" ".join(row) for row in rows) == errors.EXIT_CODES


def test_all_links_lead_somewhere(site: Path) -> None:
    count = 0
    for page in site.rglob("*.md"):
        for target, _ in docs_site.LINK.findall(page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.relative_to(site)}: {target}"
            count += 1
    assert count > 50


def test_the_navigation_lists_every_guide() -> None:
    listed = set(re.findall(r"[\w/-]+\.md", (ROOT / "mkdocs.yml").read_text()))
    guides = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert guides | set(docs_site.TOP) <= listed
