"""Layers of the package, cycles and size of its files; read from the source, nothing is imported.

A module's dependencies are its imports (lazy ones and those for annotations too), the packages
around what it imports, and strings 'vujax.x.y:Name', such as those of registries.
"""

import ast
import re
import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.configs import ROOT

LAYERS = (
    ("utils",),
    ("losses", "models", "optim"),
    ("video",),
    ("catalog",),
    ("data",),
    ("encoders",),
    ("methods",),
    ("evals",),
    ("training",),
    ("pipeline",),
    ("scenes", "search"),
    ("annotate",),
    ("cli", "main"),
)
"""Rooms from the lowest layer up; a room imports itself and rooms of lower layers."""

RANKS = {room: rank for rank, rooms in enumerate(LAYERS) for room in rooms}
MAX_LINES = 450
MAX_STARRED = 19
"""Calls `f(*x)`: a signature that is spread over a tuple hides which value is which."""
REFERENCE = re.compile(r"vujax(\.\w+)+:\w+")


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted((ROOT / "vujax").rglob("*.py"))}


def ancestors(module: str) -> Iterator[str]:
    """The packages around a module but `vujax` itself, which imports nothing eagerly."""
    while (module := module.rpartition(".")[0]).count("."):
        yield module


def references(tree: ast.AST) -> Iterator[str]:
    """Modules that a source file names."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full in MODULES else node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.Constant) and REFERENCE.fullmatch(str(node.value)):
            yield str(node.value).partition(":")[0]


def dependencies(module: str, source: str) -> set[str]:
    named = {name for name in references(ast.parse(source)) if name in MODULES}
    around = {package for name in named for package in ancestors(name) if package in MODULES}
    own = {module, "vujax", *ancestors(module)}
    return (named - {module, "vujax"}) | (around - own)


GRAPH = {name: dependencies(name, path.read_text()) for name, path in MODULES.items()}


def room(module: str) -> str:
    return module.split(".")[1]


def violations(graph: dict[str, set[str]]) -> list[str]:
    """Dependencies that do not go down, as 'module -> module'."""
    return [
        f"{module} -> {other}"
        for module, others in graph.items()
        for other in sorted(others)
        if module != "vujax" and room(module) != room(other)
        if RANKS[room(other)] >= RANKS[room(module)]
    ]


def cycles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Strongly connected components of more than one module (Tarjan 1972)."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(module: str) -> None:
        order[module] = low[module] = len(order)
        stack.append(module)
        for other in graph[module]:
            if other not in order:
                visit(other)
                low[module] = min(low[module], low[other])
            elif other in stack:
                low[module] = min(low[module], order[other])
        if low[module] == order[module]:
            place = stack.index(module)
            component = stack[place:]
            del stack[place:]
            if len(component) > 1:
                found.append(sorted(component))

    for module in graph:
        if module not in order:
            visit(module)
    return found


def starred_calls(source: str) -> list[int]:
    """Lines of calls with a starred positional argument."""
    calls = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))
    return [call.lineno for call in calls if any(isinstance(a, ast.Starred) for a in call.args)]


def registry_entries() -> set[str]:
    """Return the modules that tables of a registry name: a format, a source, an evaluation is one.

    They grow with what the package offers; the other modules should not.
    """
    tables = [
        table
        for path in MODULES.values()
        for table in re.findall(r"Registry\((.*?)\n\)", path.read_text(), re.DOTALL)
    ]
    return set(re.findall(r'"(vujax[\w.]+):\w+"', "".join(tables))) & set(MODULES)


def test_every_room_has_a_layer() -> None:
    assert {room(module) for module in MODULES if module != "vujax"} == set(RANKS)


def test_dependencies_go_down() -> None:
    assert violations(GRAPH) == []


def test_there_is_no_cycle() -> None:
    assert cycles({name: others for name, others in GRAPH.items() if name != "vujax"}) == []


def test_files_are_of_one_idea() -> None:
    lines = {name: path.read_text().count("\n") for name, path in MODULES.items()}
    assert {name: count for name, count in lines.items() if count > MAX_LINES} == {}
    assert 100 <= statistics.median(lines.values()) <= 180
    entries = registry_entries()
    assert 50 < len(entries) < len(MODULES)
    assert len(set(MODULES) - entries) <= 340


def test_few_calls_spread_a_tuple() -> None:
    folders = ("vujax", "configs", "experiments", "tools")
    paths = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    found = [f"{path}:{line}" for path in paths for line in starred_calls(path.read_text())]
    print(f"{len(found)} starred positional calls")
    assert len(found) <= MAX_STARRED, "\n".join(found)


def test_starred_calls_are_seen() -> None:
    assert starred_calls("f(*a)\nf(b, *a, c=1)\nf((*a, b), **c)\nf([*a])") == [1, 2]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("from vujax.utils.io import write_text", {"vujax.utils.io", "vujax.utils"}),
        ("def f():\n    from vujax.utils import io", {"vujax.utils.io", "vujax.utils"}),
        ("TABLE = {'a': 'vujax.utils.io:write_text'}", {"vujax.utils.io", "vujax.utils"}),
        ("NAME = 'vujax.main'", set()),
        ("import json", set()),
    ],
)
def test_dependencies_are_seen(source: str, expected: set[str]) -> None:
    assert dependencies("vujax.cli.search", source) == expected


def test_violations_and_cycles_are_seen() -> None:
    graph = {
        "vujax.utils.io": {"vujax.losses.sigmoid"},
        "vujax.losses.sigmoid": {"vujax.models.clip"},
        "vujax.models.clip": {"vujax.utils.io"},
    }
    assert violations(graph) == [
        "vujax.utils.io -> vujax.losses.sigmoid",
        "vujax.losses.sigmoid -> vujax.models.clip",
    ]
    assert cycles(graph) == [["vujax.losses.sigmoid", "vujax.models.clip", "vujax.utils.io"]]
