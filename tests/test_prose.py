"""Docstrings begin as the style asks: functions with a verb, nothing with a question word."""

import ast
import re
from collections.abc import Iterator

import pytest

from tests.configs import ROOT

MIN_SHARE = 0.95
QUESTION = re.compile(r"(what|which|how|when|where|why|who|whose|whether)\b", re.IGNORECASE)
VERBS = """
accept accumulate adapt add advance align allow answer append apply ask attend average bucket
build call caption center change check choose classify clean clip close collapse collect combine
compare complete compute concatenate connect contract convert convolve copy count create crop cut
darken declare decode describe detect divide download draw drop edit embed encode end enqueue
escape estimate evaluate exit expand export fail fill find fit flush format gather give group hash
import index infer ingest interleave iterate join keep kill label learn leave link list load lock
make map mask measure memory-map merge minimize mix move multiply name normalize number open paint
parse plan play plot predict prepare prepend print put raise rank read record reduce refuse remove
rename render renumber replace replicate report request rescale resize resolve return rotate run
sample scale score search see select send serve set shard show sort split standardize start stop
store sum summarize take tokenize train translate undo unpickle update use wait work wrap write
yield
"""
"""Imperatives in use; a new one is added here."""

Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def docstrings(source: str) -> Iterator[tuple[Documented, str]]:
    """Yield what has a docstring, and the docstring."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, Documented) and (text := ast.get_docstring(node)):
            yield node, text


def is_property(node: ast.AST) -> bool:
    """Return True for properties, which are named and described by nouns."""
    decorators = getattr(node, "decorator_list", [])
    return any("property" in ast.unparse(decorator) for decorator in decorators)


def starts_with_verb(text: str) -> bool:
    return re.split(r"[\s,;.:]", text, maxsplit=1)[0].lower() in VERBS.split()


def measure(source: str) -> tuple[list[bool], list[str]]:
    """Return, for each function, whether its docstring begins with a verb; and the questions."""
    found = list(docstrings(source))
    functions = [
        starts_with_verb(text)
        for node, text in found
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not is_property(node)
    ]
    return functions, [text.splitlines()[0] for _, text in found if QUESTION.match(text)]


def test_docstrings_of_the_package() -> None:
    functions, questions = [], []
    for path in sorted((ROOT / "vujax").rglob("*.py")):
        of_file, asked = measure(path.read_text())
        functions += of_file
        questions += [f"{path}: {text}" for text in asked]
    share = sum(functions) / len(functions)
    print(f"{share:.1%} of {len(functions)} docstrings of functions begin with a verb")
    print(f"{len(questions)} docstrings begin with a question word")
    assert len(functions) > 1000
    assert share >= MIN_SHARE
    assert questions == []


@pytest.mark.parametrize(
    ("source", "functions", "questions"),
    [
        ('def f():\n    """Return one."""', [True], []),
        ('def f():\n    """Download, import or list."""', [True], []),
        ('def f():\n    """The weights."""', [False], []),
        ('@property\ndef f(self):\n    """The weights."""', [], []),
        ('class A:\n    """What is left."""', [], ["What is left."]),
        ('"""How it works."""', [], ["How it works."]),
        ('def f():\n    """However."""', [False], []),
    ],
)
def test_docstrings_are_measured(source: str, functions: list[bool], questions: list[str]) -> None:
    assert measure(source) == (functions, questions)
