"""Asking the examined interpreter: a child in a process group of its own, with a time-out."""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compat._util.subprocesses import how_ended, kill_group
from compat.errors import PreparationError
from compat.probe.probe_runner import child_variables

SURVEY = Path(__file__).with_name("survey.py")
LONGEST = 300
"""Characters of what a child said that are told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """Runs the survey with the examined Python."""

    python: Path
    folder: Path
    """An existing, private folder."""
    timeout: float
    """Seconds for one answer."""

    def ask(self, question: str, **content: Any) -> Any:
        """Return the answer to one question.

        Raises:
            PreparationError: the interpreter does not start, or gives no answer in time.
        """
        # A copy: beside the original, modules of this project would hide others of the same name.
        script = Path(shutil.copy(SURVEY, self.folder / "compat_survey.py"))
        task, answer, log = (self.folder / name for name in ("question.json", "answer.json", "survey.log"))
        answer.unlink(missing_ok=True)
        document = {"question": question, "answer": str(answer), **content}
        task.write_text(json.dumps(document), encoding="utf-8")
        ended = self._run([str(self.python), str(script), str(task)], log)
        try:
            return json.loads(answer.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            said = " ".join(_tail(log).split())[-LONGEST:]
            raise PreparationError(
                f"{self.python}: asked about its {question}, it {ended}" + (f": {said}" if said else "")
            ) from None

    def _run(self, command: list[str], log: Path) -> str:
        """Return how the child ended."""
        with log.open("wb") as stream:
            try:
                process = subprocess.Popen(
                    command,
                    cwd=self.folder,
                    env=variables(),
                    stdin=subprocess.DEVNULL,
                    stdout=stream,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            except OSError as error:
                raise PreparationError(f"{self.python}: {error.strerror}; give --python a Python") from None
            try:
                return how_ended(process.wait(self.timeout))
            except subprocess.TimeoutExpired:
                return f"gave no answer in {self.timeout:g} s"
            finally:
                kill_group(process)


def variables() -> dict[str, str]:
    """Return the variables for a child: as for a pair, and the user's import path counts."""
    kept = ("PYTHONPATH", "PYTHONUSERBASE", "PYTHONNOUSERSITE")
    return child_variables(os.environ) | {name: os.environ[name] for name in kept if name in os.environ}


def _tail(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            stream.seek(max(0, path.stat().st_size - 4 * LONGEST))
            return stream.read().decode("utf-8", "replace")
    except OSError:
        return ""
