"""An index with flipped bits gives an answer or an error of one line, never a traceback."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from compat.errors import IntegrityError
from compat.index.format import SHIPPED
from compat.resolve.api import Resolver

QUERIES = (("GPTQLinearMethod", "vllm", "0.23.0"), ("Fp8LinearMethod", "sglang", "0.5.14"))


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("index") / "index.sqlite"
    path.write_bytes(Path(SHIPPED).read_bytes())
    assert all(Resolver(path).resolve(*query).statement for query in QUERIES)
    yield path
    path.unlink()  # 20 MB


@pytest.mark.parametrize("seed", range(40))
def test_a_damaged_index_is_refused_or_answers(copy: Path, seed: int) -> None:
    draw = random.Random(seed)  # noqa: S311 -- a draw that can be repeated
    size = copy.stat().st_size
    places = [draw.randrange(100 if draw.random() < 0.1 else size) for _ in range(draw.choice((1, 20, 5000)))]
    with copy.open("r+b") as file:
        before = {}
        for place in dict.fromkeys(places):
            file.seek(place)
            before[place] = file.read(1)
            file.seek(place)
            file.write(bytes([before[place][0] ^ 1 << draw.randrange(8)]))
        file.flush()
        try:
            resolver = Resolver(copy)
            for query in QUERIES:
                resolver.resolve(*query)
        except IntegrityError as error:
            assert "\n" not in str(error)  # noqa: PT017 -- an answer is as good
        finally:
            for place, byte in before.items():
                file.seek(place)
                file.write(byte)
