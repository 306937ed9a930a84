"""`compat pairs SGLANG VLLM` with the real uv, on a local index that has the clashes of real releases."""

import io
import json
import re
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from compat.errors import DiskError, PreparationError
from compat.model.releases import SGLANG, VLLM, ReleaseMetadata
from compat.pairs.install_formats import WRITERS
from compat.pairs.solve import Solution, solve
from compat.pairs.unbuildable_sdists import unbuildable
from compat.partners.clashes import Clash, ClashSide
from compat.partners.overrides import choose
from compat.requirements.release_requirements import ReleaseRequirements, requirements_of
from compat.uv.client import find_uv
from compat.uv.pylock import LockedFile
from wheelhouse import Index, Notes, build_wheel, serving, uv_sees_only

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SGLANG_ASKS = (
    "torch==2.7.1",
    "torchvision==0.22.1",
    "openai==2.6.1",
    "humming[cu13]==0.1.12",
    "outlines==0.1.11",
)
VLLM_ASKS = (
    "torch==2.7.0",
    "torchvision==0.22.0",
    "openai>=2.25.0",
    "humming==0.1.16",
    "outlines-core==0.2.14",
)


def publish(index: Index, name: str, version: str, *requires: str) -> None:
    body = build_wheel(name, version, {f"{name}/__init__.py": b""}, requires=requires)
    index.add(f"{name}-{version}-py3-none-any.whl", body)


def publish_source(index: Index, name: str, version: str, setup: str) -> None:
    """Publish a source archive with static metadata, whose build runs `setup`."""
    files = {
        "pyproject.toml": f'[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        f'[project]\nname = "{name}"\nversion = "{version}"\n',
        "backend.py": setup,
        "PKG-INFO": f"Metadata-Version: 2.2\nName: {name}\nVersion: {version}\n",
    }
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for path, text in files.items():
            member = tarfile.TarInfo(f"{name}-{version}/{path}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    index.add(f"{name}-{version}.tar.gz", packed.getvalue())


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    with serving() as index:
        publish(index, "sglang", "0.5.21", *SGLANG_ASKS)
        publish(index, "vllm", "0.31.0", *VLLM_ASKS)
        for version, vision in (("2.7.0", "0.22.0"), ("2.7.1", "0.22.1")):
            publish(index, "torch", version)
            publish(index, "torchvision", vision, f"torch=={version}")
        for name, versions in {"openai": ("2.6.1", "2.30.0"), "humming": ("0.1.12", "0.1.16")}.items():
            for version in versions:
                publish(index, name, version, "cuda-extra; extra == 'cu13'")
        publish(index, "cuda_extra", "1.0")
        publish(index, "outlines", "0.1.11", "outlines-core==0.1.26")
        for version in ("0.1.26", "0.2.14"):
            publish(index, "outlines_core", version)
        uv_sees_only(index, tmp_path / "uv", monkeypatch)
        yield index


def needs(package: str, version: str, *requires: str, python: str | None = None) -> ReleaseRequirements:
    row = ReleaseMetadata(
        version=version, wheel="", sha256="", uploaded=None, requires_python=python, requires_dist=requires
    )
    return requirements_of(canonicalize_name(package), row, "3.11")


def solved(
    sglang: tuple[str, ...] = SGLANG_ASKS, vllm: tuple[str, ...] = VLLM_ASKS, *, predict: bool = True
) -> Solution:
    one, other = needs(SGLANG, "0.5.21", *sglang), needs(VLLM, "0.31.0", *vllm)
    return solve(one, other, "3.11", str(find_uv()), Notes(), predict=predict)


EXPECTED = {
    "humming": "[cu13]==0.1.16",
    "openai": ">=2.25.0",
    "outlines-core": "==0.2.14",
    "torch": "==2.7.1",
    "torchvision": "==0.22.1",
}


@pytest.mark.usefixtures("index")
def test_the_overrides_resolve_and_torch_takes_its_companions_along() -> None:
    found = solved()
    assert dict(found.pair("x").overrides) == EXPECTED
    assert not found.blocked
    versions = {str(name): str(version) for name, version in found.packages.items()}
    assert (versions["torch"], versions["torchvision"], versions["openai"]) == ("2.7.1", "0.22.1", "2.30.0")
    assert versions["cuda-extra"] == "1.0"  # the extra that an override without it would have lost
    assert {str(each): (each.side, each.bound) for each in found.overrides} == {
        "torch==2.7.1": ("sglang", True),
        "torchvision==0.22.1": ("torch", True),
        "humming[cu13]==0.1.16": ("vllm", False),
        "openai>=2.25.0": ("vllm", False),
        "outlines-core==0.2.14": ("vllm", False),
    }
    assert [clash.direct for clash in found.clashes] == [True] * 4 + [False]


@pytest.mark.usefixtures("index")
def test_predicting_saves_rounds_and_changes_nothing() -> None:
    with_it, without = solved(), solved(predict=False)
    assert dict(without.pair("x").overrides) == EXPECTED
    assert with_it.rounds < without.rounds


def test_the_companion_follows_even_where_only_one_side_asks(index: Index) -> None:
    """With an override of torch, uv accepts any torchvision, so the search must adapt it."""
    publish(index, "sglang", "0.5.21", "torch==2.7.1", "torchvision")
    publish(index, "vllm", "0.31.0", "torch==2.7.0", "torchvision==0.22.0")
    index.projects["sglang"].pop(0)
    index.projects["vllm"].pop(0)
    found = solved(("torch==2.7.1", "torchvision"), ("torch==2.7.0", "torchvision==0.22.0"))
    assert dict(found.pair("x").overrides) == {"torch": "==2.7.1", "torchvision": "==0.22.1"}


def test_a_companion_that_asks_for_no_torch_is_not_taken_for_one_that_fits(index: Index) -> None:
    publish(index, "torchvision", "0.99")
    assert dict(solved().pair("x").overrides) == EXPECTED


def alone(index: Index, package: str, version: str, *requires: str) -> None:
    index.projects[package].clear()
    publish(index, package, version, *requires)


def test_what_is_settled_stays_though_nothing_needs_it(index: Index) -> None:
    alone(index, "sglang", "0.5.21", "openai")
    alone(index, "vllm", "0.31.0", "openai")
    asks = (ClashSide(by="a 1", side="sglang", specifiers=SpecifierSet("==2.6.1")),
            ClashSide(by="b 1", side="vllm", specifiers=SpecifierSet("==2.30.0")))  # fmt: skip
    settled = choose(Clash(package=canonicalize_name("openai"), sides=asks, direct=False))
    one, other = needs(SGLANG, "0.5.21", "openai"), needs(VLLM, "0.31.0", "openai")
    found = solve(one, other, "3.11", str(find_uv()), Notes(), start=[settled])
    assert list(map(str, found.overrides)) == ["openai==2.30.0"]


def test_a_stub_that_cannot_be_built_is_dropped(index: Index) -> None:
    publish_source(
        index, "cuda_tile", "1.6.0", "import urllib.request\nraise urllib.request.URLError('elsewhere')\n"
    )
    alone(index, "sglang", "0.5.21", "cuda-tile==1.6.0")
    alone(index, "vllm", "0.31.0", "torch")
    found = solved(("cuda-tile==1.6.0",), ("torch",))
    (override,) = found.overrides
    assert (str(override), override.side) == ("cuda-tile; python_version < '3'", "none")
    assert "has no wheel, and its source archive downloads the real package from elsewhere" in override.reason
    assert "cuda-tile" not in found.packages


def test_nothing_is_dropped_because_there_is_no_python_to_build_it_with(tmp_path: Path) -> None:
    uv = tmp_path / "uv"
    uv.write_text("#!/bin/sh\necho 'error: No interpreter found for Python 3.11'\nexit 2\n")
    uv.chmod(0o755)
    source = LockedFile(package=canonicalize_name("stub"), version=Version("1.0"), has_wheel=False)
    with pytest.raises(PreparationError, match=r"^cannot build for Python 3\.11: .*No interpreter found"):
        unbuildable([source], "3.11", str(uv), Notes())


def test_nothing_is_dropped_because_the_disk_is_full(tmp_path: Path) -> None:
    uv = tmp_path / "uv"
    uv.write_text(
        "#!/bin/sh\n[ $1 = venv ] && exit 0\n"
        "echo 'error: Failed to build `stub==1.0`\n  Caused by: No space left on device (os error 28)'\n"
        "exit 2\n"
    )
    uv.chmod(0o755)
    source = LockedFile(package=canonicalize_name("stub"), version=Version("1.0"), has_wheel=False)
    with pytest.raises(DiskError, match=r"^cannot build stub.*No space left on device.*; free disk space"):
        unbuildable([source], "3.11", str(uv), Notes())


def test_what_is_missing_turns_no_override_whose_name_it_begins_with(index: Index) -> None:
    asks = ("openai>=2.25.0", "openai-harmony>=9")
    publish(index, "openai_harmony", "0.1")
    alone(index, "sglang", "0.5.21", "openai==2.6.1")
    alone(index, "vllm", "0.31.0", *asks)
    found = solved(("openai==2.6.1",), asks)
    assert "openai-harmony" in found.blocked
    assert [str(override) for override in found.overrides] == ["openai>=2.25.0"]


def test_a_version_that_does_not_exist_turns_the_override(index: Index) -> None:
    alone(index, "sglang", "0.5.21", "openai==2.6.1")
    alone(index, "vllm", "0.31.0", "openai>=9.0")
    found = solved(("openai==2.6.1",), ("openai>=9.0",))
    (override,) = found.overrides
    assert (str(override), override.side) == ("openai==2.6.1", "sglang")
    assert override.reason.startswith("openai>=9.0 is not available")


def test_a_pair_that_cannot_be_satisfied_is_blocked_with_the_reason(index: Index) -> None:
    alone(index, "vllm", "0.31.0", "certifi>=2026.2")
    publish(index, "certifi", "2026.1.4")
    found = solved(vllm=("certifi>=2026.2",))
    assert found.blocked == "only certifi==2026.1.4 is available, and vllm depend on certifi>=2026.2"
    assert found.packages == {}


def test_a_release_for_another_python_blocks_without_asking() -> None:
    one = needs(SGLANG, "0.5.22", python=">=3.12")
    found = solve(one, needs(VLLM, "0.31.0"), "3.11", "/nonexistent/uv", Notes())
    assert found.blocked == "sglang 0.5.22 requires Python >=3.12, not 3.11"
    assert found.rounds == 0


def test_what_uv_needs_no_more_is_left_out(index: Index) -> None:
    """Without prediction, `deep` is overridden first; after `top`, no package requires it any more."""
    alone(index, "sglang", "0.5.21", "top==1")
    alone(index, "vllm", "0.31.0", "top==2", "deep==2")
    publish(index, "top", "1", "deep==1")
    publish(index, "top", "2")
    for version in ("1", "2"):
        publish(index, "deep", version)
    found = solved(("top==1",), ("top==2", "deep==2"), predict=False)
    assert dict(found.pair("x").overrides) == {"top": "==2"}


@pytest.mark.usefixtures("index")
def test_the_pair_can_be_pasted_into_the_matrix(tmp_path: Path) -> None:
    from compat.matrix.config import read_matrix
    from compat.pairs import json_output, text_output

    found = solved()
    path = tmp_path / "matrix.toml"
    path.write_text(text_output.as_toml(found))
    (pair,) = read_matrix(path).pairs
    assert dict(pair.overrides) == EXPECTED
    document = json.loads(json_output.of_solution(found, ()))
    assert document["resolved"] is True
    assert [each["package"] for each in document["overrides"]] == [
        "torch", "torchvision", "humming", "openai", "outlines-core",
    ]  # fmt: skip
    text = text_output.solution(found, ())
    assert "torch==2.7.1" in text
    assert "ABI-bound" in text
    requirements = WRITERS["requirements"](found)
    pins = {line for line in requirements.splitlines() if not line.startswith("#")}
    assert pins == {f"{package}=={version}" for package, version in found.packages.items()}
    assert {"sglang==0.5.21", "vllm==0.31.0", "torch==2.7.1"} <= pins
    project = tomllib.loads(WRITERS["pyproject"](found))
    assert project["project"]["dependencies"] == ["sglang==0.5.21", "vllm==0.31.0"]
    overrides = project["tool"]["uv"]["override-dependencies"]
    assert dict(re.split(r"(?=[=><\[])", each, maxsplit=1) for each in overrides) == EXPECTED
    environment = yaml.safe_load(WRITERS["conda"](found))
    assert environment["dependencies"] == [f"python={found.python}", "pip"]


@pytest.mark.parametrize("name", WRITERS)
def test_a_blocked_pair_is_a_comment_in_every_format(name: str) -> None:
    found = solve(needs(SGLANG, "0.5.22", python=">=3.12"), needs(VLLM, "0.31.0"), "3.11", "/no/uv", Notes())
    assert WRITERS[name](found) == f"# blocked: {found.blocked}"
