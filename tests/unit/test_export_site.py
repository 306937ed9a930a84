"""The site of `compat export site`, in Chromium, opened from disk: what it says, how fast, and for whom."""

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import browser_setup
from chromium import Page, browser
from compat.errors import UsageError
from compat.export.cli import main
from compat.export.site.build import build_site
from compat.index.reader import Index

pytestmark = pytest.mark.browser
SEED = 20261201
NAMED = ("FlexibleArgumentParser", "CacheConfig", "vllm.utils", "EngineArgs", "GPTQLinearMethod")
READY = "document.documentElement?.dataset.ready"
SHOWN = "document.querySelector('#view h1')?.textContent"


def drawn() -> list[str]:
    """Return 40 names that are drawn from all names of the index."""
    names = [name for (name,) in Index().rows("SELECT name FROM names ORDER BY name") if name.isidentifier()]
    return random.Random(SEED).sample(names, 40)  # noqa: S311 -- no secret


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("site") / "out"
    build_site(folder, {*NAMED, *drawn()})
    return (folder / "index.html").as_uri()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser(str(browser_setup.chromium()), tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.fixture
def page(shared: Page) -> Iterator[Page]:
    shared.window(1280)
    shared.errors.clear()
    yield shared
    assert shared.errors == []


def card(page: Page, package: str, selector: str) -> str | None:
    """Return the text of an element in the card of a package."""
    found = page.evaluate(
        f"document.querySelector('.card[data-package=\"{package}\"] {selector}')?.textContent"
    )
    return None if found is None else str(found)


def test_a_link_shows_a_name_in_its_release(page: Page, site: str) -> None:
    page.open(f"{site}#/vllm/0.10.0/FlexibleArgumentParser", READY)
    assert page.evaluate(SHOWN) == "FlexibleArgumentParser"
    assert card(page, "vllm", ".copy pre") == "from vllm.utils import FlexibleArgumentParser"
    assert card(page, "vllm", "h2") == "vllm 0.10.0defined"
    page.open(f"{site}#/vllm/0.33.0/FlexibleArgumentParser", READY)
    assert card(page, "vllm", ".copy pre") == "from vllm.utils.argparse_utils import FlexibleArgumentParser"


@pytest.mark.parametrize(
    ("text", "title", "statement"),
    [
        (
            "ImportError: cannot import name 'FlexibleArgumentParser' from 'vllm.utils' (/v/utils.py)",
            "vllm.utils:FlexibleArgumentParser",
            "from vllm.utils.argparse_utils import FlexibleArgumentParser",
        ),
        (
            "from vllm.config import CacheConfig",
            "vllm.config:CacheConfig",
            "from vllm.config import CacheConfig",
        ),
        (
            "AttributeError: module 'vllm.config' has no attribute 'CacheConfig'",
            "vllm.config:CacheConfig",
            None,
        ),
        ("ModuleNotFoundError: No module named 'vllm.utils'", "vllm.utils", "import vllm.utils"),
        ("TypeError: EngineArgs.__init__() got an unexpected keyword argument 'x'", "EngineArgs", None),
        ("vllm.config.CacheConfig", "vllm.config:CacheConfig", "from vllm.config import CacheConfig"),
    ],
)
def test_the_last_line_of_a_traceback_is_understood(
    page: Page, site: str, text: str, title: str, statement: str | None
) -> None:
    page.open(f"{site}#/vllm/0.33.0/", READY)
    page.evaluate("document.getElementById('ask').focus()")
    page.paste(text)
    page.press("Enter")
    page.wait(f"{SHOWN} === {json.dumps(title)}")
    if statement:
        assert card(page, "vllm", ".copy pre") == statement


def test_an_argument_leads_to_the_releases_that_take_it(page: Page, site: str) -> None:
    page.open(f"{site}#/vllm/0.33.0/EngineArgs?argument=swap_space", READY)
    said = card(page, "vllm", "details p")
    assert said
    assert said.startswith("“swap_space” is a parameter in 0.")
    page.open(f"{site}#/vllm/0.33.0/EngineArgs?argument=no_such", READY)
    assert card(page, "vllm", "details p") == (
        "“no_such” is a parameter in no release whose signature is known."
    )


def test_what_changes_is_said_and_a_cut_address_is_no_error(page: Page, site: str) -> None:
    page.open(f"{site}#/vllm/0.10.0/FlexibleArgumentParser", READY)
    assert str(page.evaluate("document.querySelector('[role=status]').textContent")).startswith(
        "FlexibleArgumentParser, vllm 0.10.0 defined"
    )
    page.open(f"{site}#/vllm/0.10.0/%E", READY)
    assert page.evaluate(SHOWN) == "Where is it in each release?"


def test_a_name_is_found_by_keyboard_alone(page: Page, site: str) -> None:
    page.open(site, READY)
    page.type("/")
    page.call("Input.dispatchKeyEvent", type="keyDown", key="/", text="/")
    page.wait("document.activeElement.id === 'ask'")
    page.evaluate("document.getElementById('ask').value = ''")
    page.type("flexiblearg")
    page.press("ArrowDown")
    assert page.evaluate("document.querySelector('[aria-selected=true]').dataset.name") == NAMED[0]
    page.press("Enter")
    page.wait(f"{SHOWN} === 'FlexibleArgumentParser'")
    page.evaluate("document.querySelector('.line[data-package=vllm]').focus()")
    page.press("Home")
    page.wait("location.hash.startsWith('#/vllm/0.1.4/')")
    assert page.evaluate("document.activeElement.dataset.package") == "vllm", "the focus stays on the bar"
    assert card(page, "vllm", "h2") == "vllm 0.1.4missing"


def test_a_pair_says_whether_it_goes_together(page: Page, site: str) -> None:
    page.open(f"{site}#/pair/0.5.14/0.23.0", READY)
    done = subprocess.run(
        [sys.executable, "-m", "compat", "pairs", "0.5.14", "0.23.0", "--offline", "--format", "json"],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    overrides = sorted(
        f"{each['package']}{each['specifier']}" for each in json.loads(done.stdout)["overrides"]
    )
    assert overrides
    assert str(page.evaluate("document.querySelector('.copy pre').textContent")).split("\n") == overrides
    assert f"{len(overrides)} override" in str(page.evaluate("document.querySelector('.badge').textContent"))


def test_forty_names_say_what_resolve_says(page: Page, site: str) -> None:
    """For the newest release of each package, the statement and remark are those of `compat resolve`."""
    names = drawn()
    versions = {"vllm": Index().versions("vllm")[-1], "sglang": Index().versions("sglang")[-1]}
    compared = 0
    for package, version in versions.items():
        done = subprocess.run(
            [sys.executable, "-m", "compat", "resolve", *names, f"--{package}", version, "--format", "json"],
            capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
        answers = {
            each["query"]: each for each in json.loads(done.stdout)["results"] if each["package"] == package
        }
        page.open(site, READY)
        for name in names:
            page.evaluate(f"location.hash = '#/{package}/{version}/{name}'")
            page.wait(f"document.title === '{name}'")
            head = card(page, package, "h2")
            if head is None:
                assert answers[name]["status"] == "missing"
                continue
            compared += 1
            assert (card(page, package, ".copy pre") or None) == answers[name]["import"], name
            usable = answers[name]["status"] not in ("missing", "placeholder")
            assert usable == (not head.endswith(("missing", "stub"))), name
    assert compared > 30, f"seed {SEED}"


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize(
    "place", ["", "#/vllm/0.33.0/vllm.utils:FlexibleArgumentParser", "#/pair/0.5.14/0.23.0"]
)
def test_nothing_keeps_anyone_out(page: Page, site: str, place: str, width: int, *, dark: bool) -> None:
    page.window(width, dark=dark)
    page.open(site + place, READY)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.violations() == []


def test_it_is_fast(page: Page, site: str) -> None:
    """The limits are far above what it takes, for busy machines; docs/accuracy/site.md has the figures."""
    page.open(site, READY)
    first = page.evaluate("performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd")
    assert 0 < first < 5000
    longest = page.evaluate(
        "Math.max(...['f', 'co', 'config', 'linearm', 'zzzz'].map((text) => {"
        " const start = performance.now(); suggestions(text); return performance.now() - start; }))"
    )
    assert longest < 500


def test_an_unknown_name_is_said_to_be_unknown(page: Page, site: str) -> None:
    page.open(f"{site}#/vllm/0.33.0/NoSuchNameAnywhere", READY)
    assert "No release of sglang or vllm has this name" in page.evaluate(
        "document.getElementById('view').textContent"
    )


def test_a_site_needs_no_extra(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules.update(dict.fromkeys(('requests', 'rich', 'pypi_simple', 'libcst'))); "
        "from pathlib import Path; from compat.export.site.build import build_site; "
        f"build_site(Path({str(tmp_path / 'site')!r}), {{'LLM'}})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_it_replaces_a_site_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="neither empty nor a site"):
        main(["site", "--output", str(tmp_path)])
    with pytest.raises(UsageError, match="not a folder"):
        main(["site", "--output", str(tmp_path / "mine.txt")])
    build_site(tmp_path / "site", set())
    first = {path.name: path.read_bytes() for path in (tmp_path / "site").rglob("*.js")}
    build_site(tmp_path / "site", set())
    assert {path.name: path.read_bytes() for path in (tmp_path / "site").rglob("*.js")} == first
