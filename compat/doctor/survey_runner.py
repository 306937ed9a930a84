"""Asking the examined interpreter: a child in a process group of its own, with a time-out."""

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compat._util.subprocesses import how_ended, run
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
        task, answer = self.folder / "question.json", self.folder / "answer.json"
        answer.unlink(missing_ok=True)
        document = {"question": question, "answer": str(answer), **content}
        task.write_text(json.dumps(document), encoding="utf-8")
        command = [self.python, script, task]
        try:
            done = run(command, seconds=self.timeout, merged=True, variables=variables(), folder=self.folder)
        except OSError as error:
            raise PreparationError(f"{self.python}: {error.strerror}; give --python a Python") from None
        try:
            return json.loads(answer.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            ended = f"gave no answer in {self.timeout:g} s" if done.code is None else how_ended(done.code)
            said = " ".join(done.stdout.split())[-LONGEST:]
            raise PreparationError(
                f"{self.python}: asked about its {question}, it {ended}" + (f": {said}" if said else "")
            ) from None


def variables() -> dict[str, str]:
    """Return the variables for a child: as for a pair, and the user's import path counts."""
    kept = ("PYTHONPATH", "PYTHONUSERBASE", "PYTHONNOUSERSITE")
    return child_variables(os.environ) | {name: os.environ[name] for name in kept if name in os.environ}
