"""Moves and renames are found from the sources of two releases, stored, and reported by `resolve`."""

from pathlib import Path

import pytest

import review_renames
from compat.index.build.read_back import read_content
from compat.index.history.features import read_features
from compat.index.history.release_diff import SuccessorFinder, by_step
from compat.index.history.similarity import Words, parts
from compat.index.query.answers import Facts
from compat.index.query.name_resolution import NameResolver
from compat.index.records import Successor
from compat.resolve.search import Found, find_location, find_name, find_path
from compat.resolve.successor_chains import follow
from sources import Files, content, index, release

LINEAR = '''
class {name}(LinearMethodBase):
    """Linear method for quantized weights."""

    def __init__(self, quant_config):
        self.quant_config = quant_config
        self.kernel = choose_kernel(quant_config.weight_bits, quant_config.group_size)

    def create_weights(self, layer, input_size, output_size, params_dtype):
        qweight = PackedParameter(torch.empty(input_size // 8, output_size, dtype=torch.int32))
        scales = GroupParameter(torch.empty(input_size // 128, output_size, dtype=params_dtype))
        layer.register_parameter("qweight", qweight)
        layer.register_parameter("scales", scales)

    def apply(self, layer, x, bias=None):
        return self.kernel.matmul(x, layer.qweight, layer.scales, bias)
'''
EMBEDDING = """
class {name}(nn.Module):
    def __init__(self, vocabulary, hidden):
        super().__init__()
        self.table = nn.Embedding(vocabulary, hidden)
        self.rows = list(range(vocabulary))

    def forward(self, tokens):
        for token in tokens:
            yield self.table(token) if token in self.rows else None
"""
ROUND = '''
def {name}(value, multiple):
    """Round up."""
    if multiple <= 0:
        raise ValueError(f"multiple must be positive, not {{multiple}}")
    remainder = value % multiple
    return value if remainder == 0 else value + multiple - remainder
'''
LOAD = """
def {name}(path, device):
    with open(path, "rb") as file:
        tensors = pickle.load(file)
    return [tensor.to(device) for tensor in tensors.values() if tensor is not None]
"""


def linear(name: str) -> str:
    return LINEAR.format(name=name)


def steps(*releases: Files) -> list[tuple[str, str, str]]:
    """Return the moves and renames that the index records: old location, new location and kind."""
    found = content("vllm", "vllm", *(release(str(n), files) for n, files in enumerate(releases))).successors
    return [(f"{s.old_module}:{s.old_name}", f"{s.module}:{s.name}", s.change) for s in found]


def test_renamed_in_place() -> None:
    assert steps({"vllm/a.py": linear("GPTQMethod")}, {"vllm/a.py": linear("AutoGPTQMethod")}) == [
        ("vllm.a:GPTQMethod", "vllm.a:AutoGPTQMethod", "rename")
    ]


def test_of_twins_the_one_that_is_where_the_rest_of_its_module_went() -> None:
    rest = EMBEDDING.format(name="Table") + LOAD.format(name="load")
    before = {"vllm/old/temp/experts.py": linear("Method") + rest, "vllm/old/experts.py": linear("Method")}
    changed = linear("Method").replace("dtype=torch.int32", "dtype=torch.uint8")
    after = {"vllm/ops/temp/experts.py": changed + rest, "vllm/ops/experts.py": linear("Method")}
    assert steps(before, after) == [
        ("vllm.old.experts:Method", "vllm.ops.experts:Method", "move"),
        ("vllm.old.temp.experts:Method", "vllm.ops.temp.experts:Method", "move"),
        ("vllm.old.temp.experts:Table", "vllm.ops.temp.experts:Table", "move"),
        ("vllm.old.temp.experts:load", "vllm.ops.temp.experts:load", "move"),
    ]


def test_renamed_into_another_module() -> None:
    before = {"vllm/gptq.py": linear("GPTQMethod") + EMBEDDING.format(name="Table")}
    after = {
        "vllm/auto.py": EMBEDDING.format(name="Other") + linear("AutoMethod"),
        "vllm/b.py": "class C: pass",
    }
    assert ("vllm.gptq:GPTQMethod", "vllm.auto:AutoMethod", "rename") in steps(before, after)


def test_moved() -> None:
    kept = {"vllm/b.py": ROUND.format(name="round_up")}
    assert steps({"vllm/a.py": linear("Method"), **kept}, {**kept, "vllm/c.py": linear("Method")}) == [
        ("vllm.a:Method", "vllm.c:Method", "move")
    ]


def test_of_two_copies_the_one_in_the_nearer_module_of_that_name_is_taken() -> None:
    after = {f"vllm/{path}.py": linear("Method") for path in ("ops/a/tmp/moe", "ops/moe", "ops/b/awq")}
    assert steps({"vllm/moe.py": linear("Method")}, after) == [
        ("vllm.moe:Method", "vllm.ops.moe:Method", "move")
    ]


def test_a_module_split_into_a_package_moves_what_it_no_longer_binds() -> None:
    before = {"vllm/q.py": linear("Method") + EMBEDDING.format(name="Table")}
    after = {
        "vllm/q/__init__.py": "from .linear import Method",
        "vllm/q/linear.py": linear("Method"),
        "vllm/q/table.py": EMBEDDING.format(name="Table"),
    }
    assert steps(before, after) == [("vllm.q:Table", "vllm.q.table:Table", "move")]


def test_what_was_deleted_has_no_successor() -> None:
    before = {"vllm/a.py": linear("Method") + ROUND.format(name="round_up")}
    after = {"vllm/a.py": EMBEDDING.format(name="Table") + LOAD.format(name="load_tensors")}
    assert steps(before, after) == []


def test_a_homonym_that_does_something_else_is_no_move() -> None:
    before = {"vllm/a.py": ROUND.format(name="main")}
    assert steps(before, {"vllm/b.py": LOAD.format(name="main")}) == []


def test_a_class_is_not_succeeded_by_a_function() -> None:
    assert (
        steps({"vllm/a.py": linear("method")}, {"vllm/b.py": "def method(layer, x): return layer(x)"}) == []
    )


def test_of_two_copies_the_one_with_the_likelier_name_is_taken() -> None:
    before = {"vllm/awq.py": linear("AWQLinearMethod")}
    after = {"vllm/auto.py": linear("ZebraLinearMethod") + linear("AutoAWQLinearMethod")}
    assert steps(before, after) == [("vllm.awq:AWQLinearMethod", "vllm.auto:AutoAWQLinearMethod", "rename")]


def test_two_candidates_that_cannot_be_told_apart_cost_confidence() -> None:
    def confidence(*names: str) -> float:
        after = {"vllm/b.py": "".join(map(linear, names))}
        made = content("vllm", "vllm", release("0", {"vllm/a.py": linear("Method")}), release("1", after))
        return made.successors[0].confidence

    assert confidence("OneMethod") > confidence("OneMethod", "TwoMethod")


def test_a_copy_of_something_that_stays_is_no_rename() -> None:
    gone = linear("GoneMethod").replace("bias", "zeros").replace("scales", "factors")
    kept, copy = linear("KeptMethod"), linear("CopyMethod")
    assert steps({"vllm/a.py": gone}, {"vllm/a.py": copy}) == [
        ("vllm.a:GoneMethod", "vllm.a:CopyMethod", "rename")
    ]
    assert steps({"vllm/a.py": kept + gone}, {"vllm/a.py": kept + copy}) == []


def test_what_moved_is_no_new_name_of_something_else() -> None:
    gone = linear("ExactMethod").replace("bias", "zeros")
    before = {"vllm/a.py": gone + linear("AutoMethod")}
    assert steps(before, {"vllm/b.py": linear("AutoMethod")}) == [
        ("vllm.a:AutoMethod", "vllm.b:AutoMethod", "move")
    ]


def test_what_only_shares_its_sort_is_no_rename() -> None:
    yi, intern = linear("YiModel"), linear("InternModel")
    for word in ("choose_kernel", "scales", "qweight"):
        intern = intern.replace(word, f"intern_{word}")
    other = {"vllm/grok.py": linear("GrokModel") + EMBEDDING.format(name="Table")}
    before = {"vllm/yi.py": yi, **other}
    assert steps(before, {"vllm/intern.py": intern, **other}) == []
    assert steps(before, {"vllm/yi.py": intern, **other}) == [
        ("vllm.yi:YiModel", "vllm.yi:InternModel", "rename")
    ]


def test_a_class_split_into_base_and_rest_is_still_the_whole() -> None:
    base, rest = linear("BaseGPTQMethod").split("    def apply")
    split = f"{base}\nclass AutoGPTQMethod(BaseGPTQMethod):\n    def apply{rest}"
    assert steps({"vllm/a.py": linear("GPTQMethod")}, {"vllm/b.py": split}) == [
        ("vllm.a:GPTQMethod", "vllm.b:AutoGPTQMethod", "rename")
    ]


def test_a_large_base_beside_it_neither_hides_nor_feigns_a_move() -> None:
    base = linear("Base")
    small = "class Usage(Base):\n    tokens: int = 0\n    cached_tokens: int = 0\n"
    other = "class Failure(Base):\n    message: str\n    code: int = 400\n"
    before = {"vllm/a.py": base + small}
    after = {"vllm/base.py": base, "vllm/usage.py": f"from .base import Base\n{small}"}
    assert ("vllm.a:Usage", "vllm.usage:Usage", "move") in steps(before, after)
    assert steps({"vllm/a.py": base + small}, {"vllm/a.py": base + other}) == []


def test_a_renamed_function() -> None:
    before, after = ROUND.format(name="round_up"), ROUND.format(name="round_up_to_multiple")
    assert steps({"vllm/a.py": before}, {"vllm/a.py": after}) == [
        ("vllm.a:round_up", "vllm.a:round_up_to_multiple", "rename")
    ]


def test_what_can_still_be_imported_has_not_vanished() -> None:
    after = {"vllm/a.py": "from .b import Method", "vllm/b.py": linear("Method")}
    assert steps({"vllm/a.py": linear("Method")}, after) == []


CHAIN = (
    {"vllm/__init__.py": "", "vllm/gptq.py": linear("GPTQMethod"), "vllm/x.py": ROUND.format(name="up")},
    {"vllm/__init__.py": "", "vllm/marlin.py": linear("GPTQMethod"), "vllm/x.py": ROUND.format(name="up")},
    {"vllm/__init__.py": "", "vllm/auto.py": linear("AutoGPTQMethod")},
)


@pytest.fixture
def history(tmp_path: Path) -> list[NameResolver]:
    """Return resolvers for three releases in which one name moves and is then renamed."""
    made = index(
        tmp_path / "i", content("vllm", "vllm", *(release(f"0.{n}", files) for n, files in enumerate(CHAIN)))
    )
    return [NameResolver(made, Facts(release_indexes={"vllm": release_index})) for release_index in range(3)]


def replaced(found: Found) -> tuple[str, str, str] | None:
    assert found.status == "missing"
    if found.successor is None:
        return None
    return found.successor.module, found.successor.name, found.successor.evidence


def test_a_chain_is_followed_to_the_release_asked_for(history: list[NameResolver]) -> None:
    old = find_location(history[2], "vllm", "vllm.gptq", "GPTQMethod")
    assert old.successor
    assert (old.successor.module, old.successor.name) == ("vllm.auto", "AutoGPTQMethod")
    first, second = old.successor.evidence.split("; then ")
    assert first.startswith("moved in 0.1: body 1.00, same bases, 3 of 3 methods")
    assert second.startswith("renamed in 0.2: body")
    assert old.statement == "from vllm.auto import AutoGPTQMethod"
    steps = history[2].index.history("vllm")
    assert old.successor.confidence == round(steps[0].confidence * steps[1].confidence, 2)


def test_a_name_that_comes_later_is_followed_back(history: list[NameResolver]) -> None:
    found = find_location(history[0], "vllm", "vllm.auto", "AutoGPTQMethod")
    assert found.successor
    assert (found.successor.module, found.successor.name) == ("vllm.gptq", "GPTQMethod")
    first, second = found.successor.evidence.split("; then ")
    assert first.startswith("renamed only in 0.2")
    assert second.startswith("moved only in 0.1")


def test_a_bare_name_is_followed_both_ways(history: list[NameResolver]) -> None:
    later = replaced(find_name(history[2], "vllm", "GPTQMethod"))
    assert later
    assert later[:2] == ("vllm.auto", "AutoGPTQMethod")
    earlier = replaced(find_name(history[1], "vllm", "AutoGPTQMethod"))
    assert earlier
    assert earlier[:2] == ("vllm.marlin", "GPTQMethod")
    assert replaced(find_name(history[2], "vllm", "up")) is None


def test_the_same_name_elsewhere_comes_before_a_rename(history: list[NameResolver]) -> None:
    found = replaced(find_location(history[1], "vllm", "vllm.gptq", "GPTQMethod"))
    assert found
    assert found[:2] == ("vllm.marlin", "GPTQMethod")
    assert found[2].startswith("moved in 0.1")


def test_a_module_is_followed_by_what_it_defined(history: list[NameResolver]) -> None:
    found = replaced(find_location(history[2], "vllm", "vllm.gptq", ""))
    assert found == ("vllm.auto", "", "has 1 of its 1 definition")
    assert replaced(find_path(history[2], "vllm", "vllm.gptq")) == found
    assert replaced(find_location(history[2], "vllm", "vllm.x", "")) is None


HANDED_ON = (
    {"vllm/__init__.py": "", "vllm/old.py": linear("Executor"), "vllm/parts.py": ""},
    {
        "vllm/__init__.py": "",
        "vllm/old.py": "from vllm.new import RayExecutor\n",
        "vllm/new.py": "class RayExecutor:\n    def run(self): ...\n",
        "vllm/parts.py": linear("Executor"),
    },
    {
        "vllm/__init__.py": "",
        "vllm/new.py": "class RayExecutor:\n    def run(self): ...\n",
        "vllm/parts.py": linear("Executor"),
    },
)
"""A module that moves its class away, hands on another one, and is then removed."""


def test_a_module_that_only_handed_on_is_followed_by_what_it_handed_on(tmp_path: Path) -> None:
    made = index(
        tmp_path / "i",
        content("vllm", "vllm", *(release(f"0.{n}", files) for n, files in enumerate(HANDED_ON))),
    )
    last = NameResolver(made, Facts(release_indexes={"vllm": 2}))
    found = replaced(find_location(last, "vllm", "vllm.old", ""))
    assert found == ("vllm.new", "", "has 1 of its 1 definition")


LAZY = """
def __getattr__(name):
    if name == "Reader":
        from vllm.new import Reader

        return Reader
    raise AttributeError(name)
"""


def test_what_a_module_handed_on_when_asked_counts(tmp_path: Path) -> None:
    new = {"vllm/__init__.py": "", "vllm/new.py": linear("Reader"), "vllm/elsewhere.py": linear("Other")}
    files = ({"vllm/__init__.py": "", "vllm/old.py": linear("Other")}, {**new, "vllm/old.py": LAZY}, new)
    made = index(
        tmp_path / "i", content("vllm", "vllm", *(release(f"0.{n}", each) for n, each in enumerate(files)))
    )
    last = NameResolver(made, Facts(release_indexes={"vllm": 2}))
    found = replaced(find_location(last, "vllm", "vllm.old", ""))
    assert found == ("vllm.new", "", "has 1 of its 1 definition")


def test_a_package_of_the_same_name_comes_before_its_module(tmp_path: Path) -> None:
    old = {"vllm/__init__.py": "", "vllm/parsers.py": linear("Parser")}
    new = {
        "vllm/__init__.py": "",
        "vllm/new/__init__.py": "",
        "vllm/new/parsers/__init__.py": "from vllm.new.parsers.base import Parser\n",
        "vllm/new/parsers/base.py": linear("Parser"),
    }
    made = index(
        tmp_path / "i",
        content("vllm", "vllm", *(release(f"0.{n}", files) for n, files in enumerate((old, new)))),
    )
    last = NameResolver(made, Facts(release_indexes={"vllm": 1}))
    found = replaced(find_location(last, "vllm", "vllm.parsers", ""))
    assert found == ("vllm.new.parsers", "", "has 1 of its 1 definition")


SPLIT = (
    {
        "vllm/__init__.py": "",
        "vllm/runner.py": linear("Shapes") + "".join(f"class Part{n}:\n    size = {n}\n" for n in range(5)),
        "vllm/new/__init__.py": "",
    },
    {
        "vllm/__init__.py": "",
        "vllm/shapes.py": linear("Shapes"),
        "vllm/new/__init__.py": "",
        "vllm/new/runner.py": "class Other:\n    def run(self): ...\n",
    },
)
"""A module with six classes, of which one moves; later, another module has its name."""


def test_one_of_many_definitions_does_not_take_the_place_of_a_module(tmp_path: Path) -> None:
    made = index(
        tmp_path / "i", content("vllm", "vllm", *(release(f"0.{n}", files) for n, files in enumerate(SPLIT)))
    )
    last = NameResolver(made, Facts(release_indexes={"vllm": 1}))
    assert [each.module for each in follow(last, "vllm", "Shapes", "vllm.runner")] == ["vllm.shapes"]
    assert replaced(find_location(last, "vllm", "vllm.runner", "")) is None
    assert replaced(find_path(last, "vllm", "vllm.runner")) is None


def test_the_index_gives_back_what_was_found(tmp_path: Path) -> None:
    made = content("vllm", "vllm", *(release(f"0.{n}", files) for n, files in enumerate(CHAIN)))
    assert [each.last for each in made.successors] == [0, 1]
    read = index(tmp_path / "i", made)
    assert read_content(read, "vllm").successors == made.successors
    assert [s.module for s in read.successors("GPTQMethod", "vllm", 1)] == ["vllm.marlin"]
    assert [s.last for s in read.predecessors("AutoGPTQMethod", "vllm", 1)] == [1]
    assert read.predecessors("AutoGPTQMethod", "vllm", 2) == ()
    assert read.names_followed("vllm.gptq", "vllm") == ("GPTQMethod",)
    assert read.names_followed("vllm.auto", "vllm") == ("AutoGPTQMethod",)
    assert read.names_followed("vllm.x", "vllm") == ()


def test_the_list_for_review(history: list[NameResolver]) -> None:
    made = history[0].index
    (found,) = review_renames.renames(made, 40)
    assert (found.package, found.version, found.step.name) == ("vllm", "0.2", "AutoGPTQMethod")
    assert review_renames.renames(made, 0) == ()
    line = f"{found.step.confidence:.2f}  vllm 0.2  vllm.marlin:GPTQMethod -> vllm.auto:AutoGPTQMethod"
    assert review_renames.as_text([found]).startswith(line)
    assert (
        "| vllm 0.2 | `vllm.marlin:GPTQMethod` | `vllm.auto:AutoGPTQMethod` |"
        in review_renames.as_markdown([found])
    )


def test_a_draw_of_what_vanished(history: list[NameResolver]) -> None:
    drawn = review_renames.sample(history[0].index, 40, 1)
    assert drawn["none"] == ("vllm 0.2 vllm.x:up",)
    assert [line.split()[:5] for line in drawn["move"]] == [
        ["vllm", "0.1", "vllm.gptq:GPTQMethod", "->", "vllm.marlin:GPTQMethod"]
    ]
    assert len(drawn["rename"]) == 1
    assert review_renames.sample(history[0].index, 0, 1) == {"move": (), "rename": (), "none": ()}


def test_what_is_known_of_a_step_is_not_found_again() -> None:
    known = Successor("vllm.b", "New", 0.9, "known", "vllm.a", "Old", 0)

    def sources() -> dict[str, bytes]:
        raise AssertionError("sources of a known step were asked for")

    finder = SuccessorFinder(known=by_step(["1", "2"], [known]))
    finder.add("0", {}, dict)
    finder.add("1", {}, dict)
    finder.add("2", {}, sources)
    assert finder.close() == (known._replace(last=1),)


def test_remembered_steps_are_the_same(tmp_path: Path) -> None:
    def found() -> tuple[Successor, ...]:
        finder = SuccessorFinder(folder=tmp_path)
        return content(
            "vllm", "vllm", *(release(f"0.{n}", f) for n, f in enumerate(CHAIN)), finder=finder
        ).successors

    first = found()
    (kept,) = tmp_path.iterdir()
    written = kept.stat().st_mtime_ns
    assert found() == first
    assert kept.stat().st_mtime_ns == written


def test_features_of_what_a_module_defines() -> None:
    found = read_features(b"""
if X:
    class A(b.Base[int], Mixin):
        def f(self): ...
        async def g(self): ...
else:
    try:
        def A(a, /, b, *, c): ...
    finally:
        def h(): ...
""")
    assert found["A"].kind == "function"
    assert found["A"].own.members == {"a", "b", "c"}
    assert set(found) == {"A", "h"}
    assert read_features(b"class C(b.Base[int], Mixin): pass")["C"].own.bases == {"Base", "Mixin"}
    assert read_features(b"class (") == {}


def test_the_own_name_and_layout_do_not_count() -> None:
    one = read_features(b"def alpha(a, b):\n    return alpha_impl(a,\n        b)")["alpha"]
    other = read_features(b"def beta(\n    a,\n    b,\n):\n    return beta_impl(a, b)")["beta"]
    assert one.own.phrases == other.own.phrases


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("AutoGPTQLinearMethod", {"auto", "gptq", "linear", "method"}),
        ("_fused_moe_v2", {"fused", "moe", "v", "2"}),
        ("_", {"_"}),
    ],
)
def test_names_are_made_of_words(name: str, words: set[str]) -> None:
    assert parts(name) == words


def test_rare_words_count_more() -> None:
    words = Words(["GPTQLinearMethod", "AWQLinearMethod", "FP8LinearMethod", "MarlinLinearMethod"])
    assert words.alike("GPTQLinearMethod", "AutoGPTQConfig") > words.alike(
        "GPTQLinearMethod", "AWQConfigMethod"
    )
    assert words.alike("A", "A") == 1.0


LEVEL = "class Level:\n    NOTHING = 0\n    PARTS = 3\n"
MODE = "class Mode(enum.IntEnum):\n    '''How to compile.'''\n    NONE = 0\n    WHOLE = 1\n    ALL = 2\n"


@pytest.mark.parametrize(("switched", "found"), [(6, True), (1, False)])
def test_modules_that_switch_their_imports_show_a_rename(*, switched: int, found: bool) -> None:
    def files(name: str, source: str) -> Files:
        users = {f"vllm/user{n}.py": f"from vllm.config import {name}" for n in range(switched)}
        idle = {f"vllm/idle{n}.py": f"from vllm.config import {name}" for n in range(6) if name == "Level"}
        return {"vllm/config.py": source, **users, **idle, "vllm/x.py": f"# {name}"}

    before, after = (
        files("CompileLevel", LEVEL.replace("Level", "CompileLevel")),
        files("CompileMode", MODE.replace("Mode", "CompileMode")),
    )
    if not found:
        after = {path: text for path, text in after.items() if not path.startswith("vllm/user")}
    renamed = ("vllm.config:CompileLevel", "vllm.config:CompileMode", "rename")
    assert (renamed in steps(before, after)) is found


def test_a_deprecated_subclass_is_succeeded_by_its_base() -> None:
    base = linear("NewMethod")
    old = (
        "class OldMethod(NewMethod):\n    def __init__(self, q):\n        warnings.warn('old')\n"
        "        super().__init__(q)\n"
    )
    kept = {"vllm/b.py": ROUND.format(name="round_up")}
    before = {"vllm/a.py": f"{base}\n{old}"}
    after = {"vllm/a.py": base, "vllm/c.py": LOAD.format(name="load")}
    assert steps({**before, **kept}, {**after, **kept}) == [
        ("vllm.a:OldMethod", "vllm.a:NewMethod", "rename")
    ]
    more = old.replace("super().__init__(q)", "super().__init__(q)\n        self.extra = build(q)")
    assert steps({"vllm/a.py": f"{base}\n{more}", **kept}, {**after, **kept}) == []


def test_a_deprecated_function_is_succeeded_by_what_it_calls() -> None:
    new = ROUND.format(name="round_to")
    old = "def round_up(value, multiple):\n    logger.warning('old')\n    return round_to(value, multiple)\n"
    kept = {"vllm/c.py": LOAD.format(name="load")}
    found = steps({"vllm/a.py": f"{new}\n{old}"}, {"vllm/a.py": new, **kept})
    assert found == [("vllm.a:round_up", "vllm.a:round_to", "rename")]


def test_a_small_function_does_not_move_into_vendored_code() -> None:
    small = "def is_hip():\n    return target() == 'hip'\n"
    kept = {"vllm/c.py": LOAD.format(name="load")}
    other = "def is_hip():\n    return current().backend == 'hip'\n"
    assert steps({"vllm/a.py": small, **kept}, {"vllm/third_party/k.py": other, **kept}) == []
    whole = {"vllm/third_party/k.py": linear("Method"), **kept}
    assert steps({"vllm/a.py": linear("Method"), **kept}, whole) == [
        ("vllm.a:Method", "vllm.third_party.k:Method", "move")
    ]
