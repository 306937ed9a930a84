"""Run the survey with the examined interpreter, in a child process with a time-out."""

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compat._util.subprocesses import how_ended, run
from compat.errors import PreparationError
from compat.probe.probe_process import child_variables

SURVEY = Path(__file__).with_name("survey.py")
LONGEST = 300
"""Most characters of a child's output that an error message quotes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """Runs the survey with the examined Python and returns its answers."""

    python: Path
    folder: Path
    """An existing, private folder."""
    timeout: float
    """Seconds after which a child process is ended."""

    def ask(self, question: str, **content: Any) -> Any:
        """Return the survey's answer to one question.

        Raises:
            PreparationError: the interpreter does not start, or does not answer in time.
        """
        # A copy, because Python puts the script's folder on the import path, where modules of this project
        # would shadow others.
        script = Path(shutil.copy(SURVEY, self.folder / "compat_survey.py"))
        task, answer = self.folder / "question.json", self.folder / "answer.json"
        answer.unlink(missing_ok=True)
        document = {"question": question, "answer": str(answer), **content}
        task.write_text(json.dumps(document), encoding="utf-8")
        command = [self.python, script, task]
        try:
            done = run(command, seconds=self.timeout, merged=True, variables=variables(), folder=self.folder)
        except OSError as error:
            raise PreparationError(f"{self.python}: {error.strerror}; pass a Python with --python") from None
        try:
            return json.loads(answer.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            ended = f"did not answer within {self.timeout:g} s" if done.code is None else how_ended(done.code)
            output = " ".join(done.stdout.split())[-LONGEST:]
            raise PreparationError(
                f"{self.python}: the survey of its {question} {ended}" + (f": {output}" if output else "")
            ) from None


def variables() -> dict[str, str]:
    """Return the environment variables for a child process, with those of the user's import path."""
    kept = ("PYTHONPATH", "PYTHONUSERBASE", "PYTHONNOUSERSITE")
    return child_variables(os.environ) | {name: os.environ[name] for name in kept if name in os.environ}
