"""Commands, options, files and links that README and docs name exist."""

import argparse
import ast
import configparser
import importlib.util
import re
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from flax.traverse_util import flatten_dict

from tests.configs import ROOT, load
from tests.docs.pages import BLOCKS, PAGES, Block, mentioned_commands, prose_of
from vujax import cli

MAX_README_LINES = 200

PLUG_INS = {block.page for block in BLOCKS if block.title == "pyproject.toml"}
"""Pages whose commands need the page's own package: they run in test_code_blocks."""

SHELL = [block for block in BLOCKS if block.language == "sh" and block.page not in PLUG_INS]
TYPED = [command for block in SHELL for command in block.commands]
MENTIONED = [
    command
    for path in PAGES
    if path.name != "changelog.md"  # it names what was renamed
    for command in mentioned_commands(path)
]


def starting(*words: str, among: Iterable[list[str]]) -> list:
    """Return the commands that start with `words`, each once, as test parameters."""
    found = {" ".join(own): own for own in among if own[: len(words)] == list(words)}
    return [pytest.param(own, id=text) for text, own in found.items()]


@pytest.mark.parametrize("words", starting("vujax", among=TYPED))
def test_commands_are_understood(words: list[str]) -> None:
    parser, _ = cli.build_parser(words[1:2])
    if "--help" not in words:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # an old name that is still understood
            parser.parse_args(words[1:])


@pytest.mark.parametrize("words", starting("vujax", among=MENTIONED))
def test_mentioned_commands_exist(words: list[str]) -> None:
    if words[1].startswith("-"):
        return
    assert words[1] in cli.COMMANDS
    known = set(options_of(cli.build_parser(words[1:2])[0]))
    assert {word.partition("=")[0] for word in words if word.startswith("--")} <= known


def options_of(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Yield the options of a parser and of its commands."""
    for action in parser._actions:
        yield from action.option_strings
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from options_of(command)


@pytest.mark.parametrize("words", starting("python", "-m", "vujax.main", among=TYPED + MENTIONED))
def test_configs_have_the_overridden_keys(words: list[str]) -> None:
    given = " ".join(words[3:]).replace("--config ", "--config=")
    if not (paths := re.findall(r"--config=configs/(\S+)", given)):
        return  # a config of the page itself, which runs
    name, _, argument = paths[0].partition(":")
    if argument.startswith("release="):  # of a model that the reader has
        argument = "vit_b32"
    config = load(name.removesuffix(".py"), argument or None)
    known = flatten_dict(config.to_dict(), sep=".", keep_empty_nodes=True)
    for key in re.findall(r"--config\.([\w.]+)", given):
        assert key in known, f"{paths[0]} has no {key}"


@pytest.mark.parametrize("words", starting("python", among=TYPED + MENTIONED))
def test_scripts_exist_and_have_the_options(words: list[str]) -> None:
    if words[1] == "-m":
        spec = importlib.util.find_spec(words[2])
        assert spec and spec.origin, words[2]
        path = Path(spec.origin.replace("__init__.py", "__main__.py"))
    else:
        path = ROOT / words[1]
    source = path.read_text()
    if "vujax.main" in words:
        return
    for option in (word.partition("=")[0] for word in words if word.startswith("--")):
        known = option in ("--help",) or option.startswith("--config.") or f'"{option}"' in source
        assert known or re.search(rf"{option.removeprefix('--')}\b", source), option


@pytest.mark.parametrize("words", starting("pytest", among=TYPED + MENTIONED))
def test_tests_exist(words: list[str]) -> None:
    for path in (word.partition("::")[0] for word in words if word.startswith("tests")):
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize("words", starting("pip", "install", among=TYPED + MENTIONED))
def test_extras_exist(words: list[str]) -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    named = re.findall(r"\[([\w,]+)\]", " ".join(words))
    extras = {extra for found in named for extra in found.split(",")}
    assert extras <= set(setup["options.extras_require"])


def test_the_install_page_names_every_extra() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    rows = re.findall(r"^\| (`.+?`) \|", (ROOT / "docs/start/install.md").read_text(), re.MULTILINE)
    named = {extra for row in rows for extra in re.findall(r"`(\w+)`", row)}
    assert named == set(setup["options.extras_require"])


@pytest.mark.parametrize("words", starting("make", among=TYPED + MENTIONED))
def test_make_targets_exist(words: list[str]) -> None:
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert {word for word in words[1:] if "=" not in word} <= set(targets)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_to_files_and_headings(path: Path) -> None:
    for link in re.findall(r"(?:\]\(|src=\")(?!https?:)([^)\s\"]+)[)\"]", prose_of(path)):
        file, _, heading = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        assert target.exists(), f"{path.name}: {link}"
        if heading and target.suffix == ".md":
            assert heading in headings(target), f"{path.name}: {link}"


def headings(path: Path) -> set[str]:
    """Return the anchors of a page's headings, as mkdocs and GitHub name them."""
    titles = re.findall(r"^#+ (.+?)(?: \{ ?#[\w-]+ ?\})?$", prose_of(path), re.MULTILINE)
    explicit = re.findall(r"\{ ?#([\w-]+) ?\}", path.read_text())
    slugs = (re.sub(r"[^\w\s-]", "", title).strip().lower() for title in titles)
    return {re.sub(r"[-\s]+", "-", slug) for slug in slugs} | set(explicit)


@pytest.mark.parametrize(
    "block",
    [
        pytest.param(block, id=f"{block.page}:{block.line}")
        for block in BLOCKS
        if block.language == "python"
    ],
)
def test_python_compiles_and_its_imports_of_vujax_exist(block: Block) -> None:
    for node in ast.walk(ast.parse(block.code)):
        if isinstance(node, ast.ImportFrom) and str(node.module).split(".")[0] == "vujax":
            for name in node.names:
                exec(f"from {node.module} import {name.name}", {})


def test_blocks_have_a_language() -> None:
    bare = [f"{b.page}:{b.line}" for b in BLOCKS if b.language not in LANGUAGES]
    assert not bare


LANGUAGES = ("sh", "python", "text", "json", "toml", "html", "diff", "bibtex")


def test_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= MAX_README_LINES


def test_there_is_something_to_check() -> None:
    counts = {word: len(starting(word, among=TYPED)) for word in ("vujax", "python", "pip")}
    assert counts["vujax"] > 80 and counts["python"] > 25 and counts["pip"] > 3
    assert len(starting("vujax", among=MENTIONED)) > 20
    assert sum(block.language == "python" and not block.reason for block in BLOCKS) > 20
    ran = [block for block in BLOCKS if block.language == "sh" and not block.reason]
    assert len(ran) > 40
