"""Diagnoses of real failures in known environments: cause, package, symbol and import statement."""

from collections import Counter
from typing import get_args

import pytest

from compat.explain.engine import explain, which
from compat.model.diagnosis import Cause
from failures import CORPUS, ROOT, Sample, samples
from messy import MESSES

SAMPLES = samples()


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.id)
def test_a_real_failure_is_diagnosed(sample: Sample) -> None:
    first = explain(sample.log.decode("utf-8", "surrogateescape"), environment=sample.environment)[0]
    if sample.missed:
        assert first.cause == sample.missed
        return
    assert (first.cause, first.package, first.module, first.symbol) == sample.found
    assert first.fix.statement == sample.statement


@pytest.mark.parametrize("mess", MESSES)
def test_the_answer_is_the_same_however_the_log_was_collected(mess: str) -> None:
    wrong = []
    for sample in [each for each in SAMPLES if not each.missed][::4]:
        log = MESSES[mess](sample.log)
        pieces = (log[start : start + 1000] for start in range(0, len(log), 1000))
        first = explain(pieces, environment=sample.environment)[0]
        asked = 2 if mess == "beheaded" else 4  # the missing frame may have contained the requested symbol
        if (first.cause, first.package, first.module, first.symbol)[:asked] != sample.found[:asked]:
            wrong.append((sample.id, first.cause, first.package, first.module, first.symbol))
    assert not wrong


def test_the_lines_of_a_log_fit_the_release_that_wrote_it() -> None:
    fits = [
        (sample.id, found.releases, str(sample.environment.versions[found.package]))
        for sample in SAMPLES
        for found in which(sample.log.decode("utf-8", "surrogateescape"))
        if found.package in sample.environment.versions
    ]
    assert [each for each in fits if each[2] not in each[1]] == []
    assert sum(len(releases) <= 3 for _, releases, _ in fits) * 3 > len(fits) > 90


def test_the_corpus_covers_every_cause_with_distinct_failures() -> None:
    assert {sample.cause for sample in SAMPLES} == set(get_args(Cause))
    assert len({sample.log for sample in SAMPLES}) == len(SAMPLES) >= 60
    assert Counter(path.stem for path in CORPUS.glob("*.log")) == Counter(sample.id for sample in SAMPLES)


def test_the_documentation_has_the_table_of_this_corpus() -> None:
    causes = Counter(sample.cause for sample in SAMPLES)
    wrong = Counter(sample.cause for sample in SAMPLES if sample.missed)
    rows = [f"| `{cause}` | {causes[cause]} | {causes[cause] - wrong[cause]} |" for cause in get_args(Cause)]
    rows.append(f"| all | {len(SAMPLES)} | {len(SAMPLES) - wrong.total()} |")
    assert "\n".join(rows) in (ROOT / "docs" / "accuracy" / "explain.md").read_text(encoding="utf-8")
