"""One installed environment: what `compat check` tells about it, and what importing its modules does."""

import os
import subprocess
import tempfile
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from compat._cli.progress import on_terminal
from compat.check.environment import Completion
from compat.check.findings import CheckReport, Finding, check_environment
from compat.companions.reader import Companions
from compat.index.query.answers import Facts
from compat.index.query.expected_modules import all_expected_in
from compat.index.query.name_resolution import NameResolver
from compat.index.reader import Index
from compat.model.releases import IMPORT_NAMES, PACKAGES, SGLANG, VLLM
from compat.probe.expectation import ModuleExpectation
from compat.probe.probe_process import PROBE
from compat.probe.probe_records import ModuleFact
from compat.probe.probe_runner import ProbeRunner
from compat.requirements.install_paths import added_roots
from compat.requirements.installed import read_environment
from compat.uv.client import find_uv

DEVICE = (
    "driver", "cuda", "gpu", "torch.ops", "torchcfunction", "_opnamespace", "nvml", "rocm", "npu", "xpu",
    "device",
)  # fmt: skip
"""Words in errors of modules that want a device, or code compiled for it, while they are imported."""


class TruthEnvironment:
    """One installed environment, which a release at a time can be changed in."""

    def __init__(self, python: Path, timeout: float) -> None:
        self.python, self.timeout = python, timeout
        self.index, self.companions = Index(), Companions()
        (self.site,) = python.parent.parent.glob("lib/python3*/site-packages")
        self.minor = self.site.parent.name.removeprefix("python")
        self._bytecode = tempfile.TemporaryDirectory(prefix="bytecode-")

    @property
    def versions(self) -> dict[str, str]:
        """What is installed now."""
        return dict(read_environment([self.site]).versions)

    def check(self, versions: Mapping[str, str]) -> CheckReport:
        """Return what `compat check` finds with these versions."""
        environment = Completion(
            named=versions,
            specifiers={},
            index=self.index,
            companions=self.companions,
            python=self.minor,
            complete=True,
        ).run()
        return check_environment(environment, self.index, self.companions)

    def modules(self) -> list[str]:
        """Return all modules of sglang and vllm."""
        versions = self.versions
        return sorted(
            module
            for package in (SGLANG, VLLM)
            if package in versions
            for module in self.index.modules(
                package, self.index.release_index(package, versions[package], "")
            )
        )

    def expected(self, modules: Container[str]) -> list[ModuleExpectation]:
        """Return what the index expects of some modules, with their names."""
        versions = self.versions
        here = {package: versions[package] for package in PACKAGES if package in versions}
        facts = Facts(
            release_indexes={
                package: self.index.release_index(package, version, "") for package, version in here.items()
            },
            absent=frozenset(IMPORT_NAMES[package] for package in PACKAGES if package not in here),
            provided=frozenset(self._provided()),
            cuda=False,
        )
        return list(all_expected_in(NameResolver(self.index, facts), modules))

    def _provided(self) -> Iterator[str]:
        """Yield the top-level names of site-packages and of the folders that `.pth` files add."""
        texts = (path.read_text(encoding="utf-8", errors="replace") for path in self.site.glob("*.pth"))
        for folder in (self.site, *(self.site / root for text in texts for root in added_roots(text))):
            yield from (path.name.partition(".")[0] for path in folder.iterdir())

    def look(
        self, modules: Iterable[str], common: Mapping[str, Sequence[str]], told: Container[str] = ()
    ) -> dict[str, ModuleFact]:
        """Import modules, and return what was seen; a failure that was told is not repeated."""
        return self.look_for(
            [ModuleExpectation(module=module, exists=True, open=True) for module in modules], common, told
        )

    def look_for(
        self,
        modules: Iterable[ModuleExpectation],
        common: Mapping[str, Sequence[str]],
        told: Container[str] = (),
    ) -> dict[str, ModuleFact]:
        """Import modules and look up the names that are expected of them.

        Bytecode goes to a temporary folder, so that the environment stays as it is.
        """
        expected = [replace(each, problem="told" if each.module in told else None) for each in modules]
        with (
            tempfile.TemporaryDirectory() as folder,
            (Path(folder) / "log").open("a+b", buffering=0) as log,
            on_terminal("importing", len(expected)) as progress,
        ):
            runner = ProbeRunner(
                python=self.python,
                folder=Path(folder),
                log=log,
                timeout=self.timeout,
                probe=("-I", "-X", f"pycache_prefix={self._bytecode.name}", PROBE),
            )
            facts = {}
            for fact in runner.facts(expected, common):
                facts[fact.module] = fact
                progress.advance()
        return facts

    def install(self, name: str, version: str, cache: Path | None = None) -> bool:
        """Replace the installed release of a distribution, and return whether that worked.

        Args:
            name: the distribution.
            version: its other release.
            cache: a folder for what is downloaded, instead of uv's cache.

        Raises:
            SystemExit: its files are behind links, which an installer writes through and does not remove.
        """
        if read_environment([self.site]).folders[name].is_symlink():
            raise SystemExit(f"{name} is linked into {self.site}; install it there")
        command = [str(find_uv()), "pip", "install", "--quiet", "--python", str(self.python), "--no-deps"]
        variables = {} if cache is None else {"UV_CACHE_DIR": str(cache), "UV_LINK_MODE": "copy"}
        done = subprocess.run(
            [*command, "--only-binary", ":all:", f"{name}=={version}"],
            check=False,
            capture_output=True,
            text=True,
            env={**os.environ, **variables},
        )
        if done.returncode:
            print(f"{name} {version}: not installed ({done.stderr.strip().splitlines()[-1:]})", flush=True)
        return done.returncode == 0


def told_by(report: CheckReport) -> dict[str, list[Finding]]:
    """Return the modules that a report tells to fail, those that need what nothing requires among them."""
    told: dict[str, list[Finding]] = {}
    for finding in (*report.findings, *report.left_out):
        for module in finding.breaks:
            told.setdefault(module, []).append(finding)
    return told


def names_root(error: str, findings: Iterable[Finding]) -> bool:
    """Return whether an error is about what one of the findings says is lacking."""
    text = error.lower().replace("_", "-")
    return any(
        (word := each.root.target.rpartition(":")[2].rpartition(".")[2].lower().replace("_", "-")) in text
        if each.root.lack != "requirement"
        else (word := (each.root.distribution or "").lower()) and word in text
        for each in findings
    )


def wants_device(error: str) -> bool:
    """Return whether an error is about a device or about code that is compiled for one."""
    return any(word in error.lower() for word in DEVICE)
