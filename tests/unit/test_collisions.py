"""Files that several distributions bring in different forms: found, told, and settled in one way."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from compat._cli.progress import Silent
from compat.check import cli
from compat.check.collisions import find_shared, override_for, way_out
from compat.check.environment import CheckedEnvironment
from compat.companions.extract.shared_modules import SharedModules, find_shared_modules
from compat.companions.reader import Companions
from compat.companions.writer import CompanionsContent, write_companions
from compat.errors import PreparationError
from compat.matrix.install.settle_files import check_settled, settle_files
from compat.model.collisions import Collision, described, find_collisions
from compat.requirements.file_owners import by_precedence, installed_collisions
from compat.uv import client
from compat.wheels.package_index import Registry
from wheelhouse import Index, build_wheel, serving

ROOT = Path(__file__).parents[2]


@pytest.fixture
def house() -> Iterator[Index]:
    with serving() as served:
        yield served


def test_what_differs_is_a_collision_and_what_is_equal_is_none() -> None:
    brought = {"a": {"x.py": 1, "y.py": 1}, "b": {"x.py": 2, "y.py": 1}, "c": {"z.py": 3}}
    (found,) = find_collisions(brought)
    assert found == Collision(("a", "b"), ("x.py",))
    assert described(found) == "a and b bring x.py in different forms"


def test_what_requires_another_lies_over_it_and_else_the_higher_version_does() -> None:
    versions = {"base": "2", "over": "1"}
    lines = {"over": ["base"], "base": []}
    assert by_precedence(["base", "over"], versions, lambda name: lines[name]) == ("over", "base")
    assert by_precedence(["base", "over"], versions, lambda _: []) == ("base", "over")


def shared(name: str, version: str, digest: int, *, whole: bool = False) -> SharedModules:
    return SharedModules(name, version, {"x.a": digest, "x.b": 7}, whole)


@pytest.fixture
def companions(tmp_path: Path) -> Companions:
    path = tmp_path / "companions.sqlite"
    releases = [
        shared("old", "1.0", 1),
        shared("old", "1.1", 2),
        shared("old", "1.2", 3),
        shared("new", "5.0", 3),
        shared("copy", "0.9", 4, whole=True),
        shared("copy", "6.0", 4, whole=True),
    ]
    write_companions(path, CompanionsContent({}, (), {}, {}, shared=releases))
    return Companions(path)


def test_what_only_extras_require_lies_over_what_is_always_there() -> None:
    versions = {"main": "1", "base": "3", "variant": "1"}
    lines = {"main": ["base==3", "variant; extra == 'gpu'"]}
    order = by_precedence(["base", "variant"], versions, lambda name: lines.get(name, []))
    assert order == ("variant", "base")


def test_a_collision_is_avoided_by_a_release_that_has_the_same_files(companions: Companions) -> None:
    environment = CheckedEnvironment(versions={"old": "1.0", "new": "5.0", "else": "1"})
    (found,) = find_shared(environment, companions)
    assert found == Collision(("new", "old"), ("x.a",))
    assert override_for(found, environment, companions) == ("old", "==1.2")
    assert way_out(found, environment, companions).command == 'pip install "old==1.2"'
    same = CheckedEnvironment(versions={"old": "1.2", "new": "5.0"})
    assert find_shared(same, companions) == ()


def test_what_another_brings_whole_is_left_out(companions: Companions) -> None:
    environment = CheckedEnvironment(versions={"copy": "0.9", "new": "5.0"})
    (found,) = find_shared(environment, companions)
    assert override_for(found, environment, companions) == ("copy", "; python_version < '3'")
    assert way_out(found, environment, companions).text.startswith("Leave out copy")


def test_what_another_brings_whole_lies_below_whatever_its_version(companions: Companions) -> None:
    environment = CheckedEnvironment(versions={"copy": "6.0", "new": "5.0"})
    (found,) = find_shared(environment, companions)
    assert override_for(found, environment, companions) == ("copy", "; python_version < '3'")


def test_without_a_way_out_the_order_of_installation_decides(companions: Companions) -> None:
    environment = CheckedEnvironment(versions={"old": "1.2", "copy": "0.9"})
    (found,) = find_shared(environment, companions)
    assert way_out(found, environment, companions).text.startswith("Leave out copy")
    backwards = CheckedEnvironment(versions={"old": "0.5", "copy": "0.9"})
    assert find_shared(backwards, companions) == (), "no release 0.5 is known"


def test_wheels_tell_which_modules_several_distributions_share(house: Index) -> None:
    """A `.pth` file adds a folder to the path; modules of which nothing is demanded do not count."""
    files = {"one": {"x/a.py": b"1", "x/b.py": b"1", "lone.py": b"1"}}
    files["two"] = {"deep/x/a.py": b"2", "two.pth": b"deep\n", "x/b.py": b"1", "lone.py": b"2"}
    for name, content in files.items():
        house.add(f"{name}-1.0-py3-none-any.whl", build_wheel(name, "1.0", content))
    with Registry(endpoint=house.simple) as registry:
        wheels = {name: registry.wheels(name) for name in files}
        found = find_shared_modules(wheels, {}, ["x.a:name"], registry, Silent())
    assert [(each.distribution, list(each.digests), each.whole) for each in found] == [
        ("one", ["x.a"], True),
        ("two", ["x.a"], True),
    ]


@pytest.fixture
def environment(house: Index, tmp_path: Path) -> tuple[Path, Path, dict[str, str]]:
    """An environment for two distributions with twenty files that both bring, and their pins."""
    names = [f"both/m{number}.py" for number in range(20)]
    for package, version in (("low", "1.0"), ("high", "2.0")):
        content = {name: f"{package} = {number}".encode() for number, name in enumerate(names)}
        house.add(f"{package}-{version}-py3-none-any.whl", build_wheel(package, version, content))
    uv, folder = client.find_uv(), tmp_path / "env"
    assert client.ask([str(uv), "venv", "--no-project", str(folder)])[0] == 0
    pins = {"low": "low==1.0", "high": "high==2.0"}
    (site,) = folder.glob("lib/python3*/site-packages")
    return folder, site, pins


def install(house: Index, folder: Path, *requirements: str) -> None:
    command = [str(client.find_uv()), "pip", "install", "--python", str(folder / "bin/python")]
    code, output = client.ask([*command, "--index-url", house.simple, "--reinstall", *requirements])
    assert code == 0, output


def test_two_installs_differ_in_nothing(house: Index, environment: tuple[Path, Path, dict[str, str]]) -> None:
    """Whichever order the wheels are unpacked in, the files of the higher version stay."""
    folder, site, pins = environment
    seen = []
    for order in (["low", "high"], ["high", "low"]):
        for name in order:
            install(house, folder, pins[name])
        found = settle_files([site], lambda name: install(house, folder, pins[name]))
        assert list(found.values()) == [("high", "low")]
        seen.append({path.name: path.read_bytes() for path in site.glob("both/*.py")})
    assert seen[0] == seen[1]
    assert all(content.startswith(b"high") for content in seen[0].values())


def test_a_file_that_is_another_one_fails_loudly(
    house: Index, environment: tuple[Path, Path, dict[str, str]]
) -> None:
    folder, site, pins = environment
    for name in ("high", "low"):
        install(house, folder, pins[name])
    with pytest.raises(PreparationError, match=r"both/m0.py is not that of high: low brings it"):
        check_settled([site], installed_collisions([site]))


def test_check_tells_a_collision_and_how_to_avoid_it(capsys: pytest.CaptureFixture[str]) -> None:
    """cuda-python 12.6.2.post1 brings cuda.bindings as cuda-bindings 13.5.0 does."""
    assert cli.main(["--lock", str(ROOT / "locks" / "vllm-alone.txt"), "--format", "json"]) == 1
    findings = json.loads(capsys.readouterr().out)["findings"]
    (found,) = [each for each in findings if each["cause"] == "shadowed_module"]
    assert found["shared"]["distributions"] == {
        "cuda-bindings": "13.5.0",
        "cuda-python": "12.6.2.post1",
    }
    assert "cuda.bindings.runtime" in found["shared"]["modules"]
    assert found["fix"]["command"].startswith('pip install "cuda-python==')


def test_flashinfer_takes_its_kernels_in_its_own_version_only(capsys: pytest.CaptureFixture[str]) -> None:
    pins = ["flashinfer-python==0.6.12", "flashinfer-cubin==0.6.3"]
    assert cli.main(["--pair", "torch-2.11", *pins, "--format", "json"]) == 1
    findings = json.loads(capsys.readouterr().out)["findings"]
    wanted = {each["needs"]["requirement"]: each["fix"]["command"] for each in findings}
    assert wanted["flashinfer-cubin==0.6.12"] == 'pip install "flashinfer-cubin==0.6.12"'
