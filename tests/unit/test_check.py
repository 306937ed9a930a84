"""`compat check`: root causes, what they break, and the smallest change that mends them.

The index is the shipped one; a small file of companions says what the releases of `openai` have.
"""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from compat.check import cli, output
from compat.check.environment import CheckedEnvironment, Completion, select_releases
from compat.check.findings import CheckReport, check_environment
from compat.check.fixes import fix_of
from compat.check.presence import ForeignPresence, RootCause
from compat.companions.demands import Demand
from compat.companions.extract.read_releases import CompanionRelease
from compat.companions.extract.supply import Need, Supply
from compat.companions.reader import Companions
from compat.companions.writer import CompanionsContent, write_companions
from compat.errors import NothingSelectedError, UsageError
from compat.index.reader import Index

MODULE = "vllm.entrypoints.openai.protocol"
TARGET = "openai.types.responses:ResponseReasoningItem"
Check = Callable[..., CheckReport]


def release(
    version: str, state: str, *requires: str, checks: tuple[tuple[str, str], ...] = ()
) -> CompanionRelease:
    return CompanionRelease(
        version=version,
        uploaded=None,
        yanked=False,
        requires_python=None,
        requires_dist=requires,
        imports=("openai",),
        supply=Supply({TARGET: state}, {TARGET: (Need("distro", "openai._base_client"),)}),
        checks=checks,  # type: ignore[arg-type]
    )


def other(name: str, version: str, *requires: str) -> CompanionRelease:
    return release(version, "present")._replace(
        imports=(name,), supply=Supply({}, {}), requires_dist=requires
    )


@pytest.fixture(scope="module")
def index() -> Index:
    return Index()


@pytest.fixture
def companions(tmp_path: Path) -> Companions:
    releases = [
        release("1.99.1", "absent", "distro"),
        release("2.0.0", "present", "distro"),
        release("2.5.0", "present", "distro", checks=(("openai", "httpx<1"),)),
        release("3.0.0", "present"),
    ]
    demand = Demand("vllm", MODULE, TARGET, "import", None, 7, 0, 0)
    path = tmp_path / "companions.sqlite"
    unread = {"distro": other("distro", "1.9.0"), "httpx": other("httpx", "0.28")}
    write_companions(path, CompanionsContent({"vllm": ("0.11.0",)}, [demand], {"openai": releases}, unread))
    return Companions(path)


@pytest.fixture
def check(index: Index, companions: Companions) -> Check:
    def run(*texts: str, entry: str = "all", complete: bool = False) -> CheckReport:
        named, specifiers = select_releases(map(Requirement, texts), index)
        environment = Completion(
            named=named,
            specifiers=specifiers,
            index=index,
            companions=companions,
            python="3.11",
            complete=complete,
        ).run()
        return check_environment(environment, index, companions, [entry])

    return run


def test_a_missing_name_is_found_with_its_line(check: Check) -> None:
    (finding,) = check("vllm==0.11.0", "openai==1.99.1").findings
    assert finding.root == RootCause("name", TARGET, "openai", "1.99.1")
    assert [(place.module, place.line) for place in finding.places] == [(MODULE, 7)]
    assert MODULE in finding.breaks
    assert finding.entry == ("serve",)


def test_a_release_that_has_the_name_is_clean(check: Check) -> None:
    assert check("vllm==0.11.0", "openai==2.0.0").findings == ()


@pytest.mark.parametrize(
    "texts",
    [
        ("vllm==0.11.0", "vllm==0.10.0"),
        ("vllm>=0.11", "vllm<0.10"),
        ("vllm==0.11.0", "openai==2.0.0", "openai==2.5.0"),
        ("vllm==0.11.0", "openai==2.0.0", "openai>=2.5"),
        ("vllm==0.11.0", "openai==2.0.0,>=2.5"),
    ],
)
def test_requirements_that_contradict_each_other_are_refused(check: Check, texts: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="meets"):
        check(*texts)


def test_several_requirements_for_one_package_count_together(check: Check) -> None:
    report = check("vllm==0.11.0", "openai<2.5", "openai>=1.0")
    assert report.environment.versions["openai"] == "2.0.0"


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("openai==0.1.0", "openai 0.1.0, since the known releases are 1.99.1 to 3.0.0; vllm requires openai"),
        ("openai>=99", "openai>=99, since the known releases are 1.99.1 to 3.0.0"),
    ],
)
def test_a_release_that_is_not_known_is_said_to_be_unjudged(check: Check, text: str, note: str) -> None:
    report = check("vllm==0.11.0", text)
    assert report.findings == ()
    assert any(
        each.startswith(f"not judged: what is imported from {note}") for each in report.environment.notes
    )
    assert not any("not judged" in each for each in check("vllm==0.11.0", "openai==2.0.0").environment.notes)


def test_twenty_thousand_requirements_for_one_package_count_together() -> None:
    texts = [f"openai!={number}.1" for number in range(20_000)]
    _, specifiers = select_releases(map(Requirement, texts), Index())
    assert len(list(specifiers["openai"])) == len(texts)


def test_what_is_not_named_is_the_newest_that_metadata_admits(check: Check) -> None:
    report = check("vllm==0.11.0", "openai==2.0.0")
    assert report.environment.versions["distro"] == "1.9.0"
    assert "distro" in report.environment.assumed
    assert check("vllm==0.11.0").environment.versions["openai"] == "3.0.0"
    assert check("vllm==0.11.0", "openai<2.5").environment.versions["openai"] == "2.0.0"


def test_extras_of_a_requirement_that_is_not_met_are_not_installed(tmp_path: Path, index: Index) -> None:
    """Of `other` only the newest release is known, which does not fit the pinned openai."""
    lines = ("distro==1.9.0; extra == 'x'",)
    releases = [release("2.0.0", "present", *lines), release("3.0.0", "present", *lines)]
    demand = Demand("vllm", MODULE, TARGET, "import", None, 7, 0, 0)
    for specifier, distros in ((">=3", []), (">=1", ["1.9.0"])):
        unread = {
            "distro": other("distro", "1.9.0"),
            "other": other("other", "5.0", f"openai[x]{specifier}"),
        }
        path = tmp_path / f"file{len(distros)}"
        content = CompanionsContent({"vllm": ("0.11.0",)}, [demand], {"openai": releases}, unread)
        write_companions(path, content)
        environment = Completion(
            named={"vllm": "0.11.0", "openai": "2.0.0", "other": "5.0"},
            specifiers={},
            index=index,
            companions=Companions(path),
            python="3.11",
        ).run()
        assert [each for name, each in environment.versions.items() if name == "distro"] == distros


def test_a_release_that_is_pinned_and_not_known_is_not_replaced(tmp_path: Path, index: Index) -> None:
    """The pinned openai is not in the data: neither it nor what the newest one requires is judged."""
    demand = Demand("vllm", MODULE, TARGET, "import", None, 7, 0, 0)
    newest = release("99.0", "absent", "distro")
    unread = {"distro": other("distro", "1.9.0"), "xgrammar": other("xgrammar", "9.0", "distro")}
    path = tmp_path / "file"
    read = {"openai": [newest], "outlines-core": [newest._replace(imports=("outlines_core",))]}
    write_companions(path, CompanionsContent({"vllm": ("0.11.0",)}, [demand], read, unread))
    environment = Completion(
        named={"vllm": "0.11.0", "openai": "1.99.1"},
        specifiers={},
        index=index,
        companions=Companions(path),
        python="3.11",
    ).run()
    assert "outlines-core" not in environment.versions  # vllm 0.11.0 requires outlines_core==0.2.11
    assert any(
        "not judged: what is imported from outlines-core==0.2.11" in each for each in environment.notes
    )
    assert environment.versions["xgrammar"] == "0.1.25"  # which the data does not know either
    assert {"outlines-core", "distro"} <= environment.unread
    assert ForeignPresence(environment, Companions(path)).exists("distro") is None


def test_what_nothing_installs_is_missing(check: Check) -> None:
    """Here openai 3.0.0 imports distro and does not require it."""
    (finding,) = check("vllm==0.11.0", "openai==3.0.0").findings
    assert finding.root == RootCause(
        "distribution", "distro", "distro", None, "openai", "openai._base_client"
    )
    assert finding.targets == (TARGET,)


def test_a_whole_environment_gets_no_additions(check: Check) -> None:
    report = check("vllm==0.11.0", "openai==2.0.0", complete=True)
    assert not report.environment.assumed
    assert report.findings[0].root.target == "distro"


def test_an_enforced_requirement_is_found(check: Check) -> None:
    (finding,) = check("vllm==0.11.0", "openai==2.5.0", "httpx==1.0").findings
    assert finding.root == RootCause("requirement", "httpx<1", "httpx", "1.0", "openai", "openai")


@pytest.mark.parametrize(("installed", "causes"), [("1.80.0", 1), ("1.80.1", 0), ("?", 0)])
def test_a_runtime_older_than_generated_code_is_found(tmp_path: Path, installed: str, causes: int) -> None:
    need = Need("grpcio>=1.80.1", "openai.a_pb2_grpc")
    supply = Supply({TARGET: "present"}, {TARGET: (need,)})
    demand = Demand("vllm", MODULE, TARGET, "import", None, 7, 0, 0)
    releases = {"openai": [release("1.0", "present")._replace(supply=supply)]}
    write_companions(
        tmp_path / "file",
        CompanionsContent({"vllm": ("0.11.0",)}, [demand], releases, {"grpcio": other("grpcio", "1.0")}),
    )
    versions = {"openai": "1.0", "grpcio": installed}
    presence = ForeignPresence(CheckedEnvironment(versions=versions), Companions(tmp_path / "file"))
    cause = RootCause("requirement", need.target, "grpcio", installed, "openai", need.via)
    assert [each for each in [presence.cause(TARGET)] if each] == [cause][:causes]


def split(tmp_path: Path) -> Companions:
    """Return a file in which `parts` and `rest` carry one package, and `asker` takes a name from it."""
    need = Need("cut.core:Gone", "asker.a")
    asking = Supply({TARGET: "present"}, {TARGET: (need,)})
    states = [
        {"cut.core": "present", "cut.core:Gone": "absent"},
        {"cut.core": "absent", "cut.core:Gone": "uncertain"},
    ]
    parts, rest = (
        [release("1.0", "present")._replace(imports=("cut",), supply=Supply(each, {}))] for each in states
    )
    asker = [
        release("1.0", "present")._replace(supply=asking),
        release("1.1", "present")._replace(supply=Supply({TARGET: "present"}, {})),
    ]
    demand = Demand("vllm", MODULE, TARGET, "import", None, 7, 0, 0)
    unread = {"whole": other("whole", "1.0")._replace(imports=())}
    read = {"asker": asker, "parts": parts, "rest": rest}
    write_companions(tmp_path / "split", CompanionsContent({"vllm": ("0.11.0",)}, [demand], read, unread))
    return Companions(tmp_path / "split")


def test_of_a_package_in_parts_those_tell_that_have_the_module(tmp_path: Path, index: Index) -> None:
    companions = split(tmp_path)
    versions = {"asker": "1.0", "parts": "1.0", "rest": "1.0", "vllm": "0.11.0"}
    report = check_environment(CheckedEnvironment(versions=versions), index, companions)
    (finding,) = report.findings
    assert finding.root == RootCause("name", "cut.core:Gone", "parts", "1.0", "asker", "asker.a")
    assert fix_of(finding, report, index, companions).text == "Install asker==1.1."
    without = {name: version for name, version in versions.items() if name != "parts"}
    presence = ForeignPresence(CheckedEnvironment(versions=without), companions)
    assert presence.exists("cut.core:Gone") is None
    assert presence.exists("cut.core") is False


def test_entries_select_what_is_imported(check: Check) -> None:
    assert check("vllm==0.11.0", "openai==1.99.1", entry="vllm.envs").findings == ()
    (finding,) = check("vllm==0.11.0", "openai==1.99.1", entry=MODULE).findings
    assert finding.breaks == (MODULE,)


def test_a_module_of_no_known_distribution_is_not_judged(companions: Companions) -> None:
    presence = ForeignPresence(CheckedEnvironment(versions={"openai": "1.99.1"}), companions)
    assert presence.exists("unheard:of") is None
    assert presence.exists("distro") is False
    assert presence.exists(TARGET) is False
    assert presence.exists("openai:never_asked") is None
    installed = CheckedEnvironment(versions={}, provided=frozenset({"distro"}))
    assert ForeignPresence(installed, companions).exists("distro") is None
    assert ForeignPresence(installed, companions).exists("openai") is False


def documents(report: CheckReport, index: Index, companions: Companions) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(output.render(report, index, companions, "json"))["findings"]
    return found


def test_the_document_tells_releases_and_the_fix(check: Check, index: Index, companions: Companions) -> None:
    (found,) = documents(check("vllm==0.11.0", "openai==1.99.1"), index, companions)
    assert (found["cause"], found["module"], found["line"]) == ("not_yet_added", MODULE, 7)
    assert found["needs"] == {
        "module": "openai.types.responses",
        "name": "ResponseReasoningItem",
        "requirement": None,
        "distribution": "openai",
        "installed": "1.99.1",
        "releases": [">=2.0.0"],
    }
    assert found["fix"] == {
        "kind": "install",
        "text": "Install openai==2.0.0.",
        "import": None,
        "command": 'pip install "openai==2.0.0"',
    }


@pytest.mark.parametrize(
    ("form", "part"),
    [
        ("text", "protocol.py:7: vllm 0.11.0 imports openai.types.responses.ResponseReasoningItem"),
        ("junit", 'failures="1"'),
        ("github", "::error title=compat check%3A not_yet_added::"),
        ("html", "<h1>compat check: 1 finding</h1>"),
        ("html", "vllm 0.11.0 imports openai.types.responses.ResponseReasoningItem"),
        ("html", "<li>fix: Install openai==2.0.0.</li>"),
    ],
)
def test_formats(check: Check, index: Index, companions: Companions, form: str, part: str) -> None:
    assert part in output.render(check("vllm==0.11.0", "openai==1.99.1"), index, companions, form)


def test_without_sglang_and_vllm_there_is_nothing_to_check() -> None:
    with pytest.raises(NothingSelectedError, match="neither sglang nor vllm"):
        cli.main(["transformers==4.57.1"])


@pytest.mark.parametrize(
    "argv", [["="], ["vllm==99"], ["--lock", "a", "--pair", "b"], ["-r", "/none"], ["--python", "/none"]]
)
def test_wrong_arguments_are_refused(argv: list[str]) -> None:
    with pytest.raises(UsageError):
        cli.main(argv)


@pytest.mark.parametrize("named", [(), ("decord==0.6.0",)])
def test_a_distribution_of_which_no_release_is_known_is_not_said_to_be_missing(
    named: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """Sglang 0.4.4.post1 requires decord, of which no release was read, and imports it."""
    assert Companions().versions("decord") == ()
    cli.main(["sglang==0.4.4.post1", *named])
    printed = capsys.readouterr().out
    assert "imports decord" not in printed
    assert ("not judged: what is imported from decord 0.6.0, since no release is known" in printed) == bool(
        named
    )


def test_requirements_of_others_that_are_not_met_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    """Pydantic refuses another pydantic-core when it is imported, which only its code says."""
    cli.main(["vllm==0.33.0", "pydantic==2.11.1", "pydantic-core==2.50.5", "openai==1.0.0"])
    printed = capsys.readouterr().out
    (line,) = (each for each in printed.splitlines() if "requirements of metadata that are not met" in each)
    assert "pydantic requires pydantic-core==2.33.0, not 2.50.5" in line
    assert "vllm requires" not in line, "what vllm asks for is judged by what it imports"
    cli.main(["vllm==0.33.0", "pydantic-core==2.50.5"])
    assert "pydantic requires pydantic-core" not in capsys.readouterr().out
