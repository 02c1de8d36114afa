"""What the README tells people to type can be typed: commands, options, configs, files, imports."""

import argparse
import ast
import importlib.util
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from flax.traverse_util import flatten_dict

from tests.configs import ROOT, load
from vujax import cli

TEXT = (ROOT / "README.md").read_text()
FENCED = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
PROSE = FENCED.sub("", TEXT)


def blocks(language: str) -> list[str]:
    return [code for found, code in FENCED.findall(TEXT) if found == language]


def split(lines: list[str]) -> list[list[str]]:
    """Words of what can be typed, each once."""
    parts = [part for line in lines for part in " ".join(line.split()).split(" && ")]
    found = [re.match(r"(?:[A-Z_]+=\S+ )*((?:vujax|python|pytest) .+)", part) for part in parts]
    typed = dict.fromkeys(match[1] for match in found if match)
    return [shlex.split(text, comments=True) for text in typed]


def in_blocks() -> Iterator[str]:
    for block in blocks("sh"):
        yield from block.replace("\\\n", " ").splitlines()
    yield from re.findall(r"^    (\S.*)$", PROSE, re.MULTILINE)


WHOLE = split(list(in_blocks()))
MENTIONED = split(re.findall(r"`([^`]+)`", PROSE))


def starting(*words: str, of: list[list[str]]) -> list:
    found = [own for own in of if own[: len(words)] == list(words)]
    return [pytest.param(own, id=" ".join(own)) for own in found]


@pytest.mark.parametrize("words", starting("vujax", of=WHOLE))
def test_commands_are_understood(words: list[str]) -> None:
    parser, _ = cli._parser(words[1:2])
    parser.parse_args(words[1:])


@pytest.mark.parametrize("words", starting("vujax", of=MENTIONED))
def test_what_is_mentioned_of_commands_exists(words: list[str]) -> None:
    assert words[1] in cli.COMMANDS
    known = set(options(cli._parser(words[1:2])[0]))
    assert {word.partition("=")[0] for word in words if word.startswith("--")} <= known


def options(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Of a parser, and of its commands'."""
    for action in parser._actions:
        yield from action.option_strings
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from options(command)


@pytest.mark.parametrize("words", starting("python", "-m", "vujax.main", of=WHOLE + MENTIONED))
def test_configs_have_what_is_overridden(words: list[str]) -> None:
    given = " ".join(words[3:]).replace("--config ", "--config=")
    (path,) = re.findall(r"--config=configs/(\S+)", given)
    name, _, arg = path.partition(":")
    if arg.startswith("release="):  # of a model that the reader has
        arg = "vit_b32"
    config = load(name.removesuffix(".py"), arg or None)
    known = flatten_dict(config.to_dict(), sep=".", keep_empty_nodes=True)
    for key in re.findall(r"--config\.([\w.]+)", given):
        assert key in known, f"{path} has no {key}"


@pytest.mark.parametrize("words", starting("python", of=WHOLE + MENTIONED))
def test_scripts_are_there_and_have_the_options(words: list[str]) -> None:
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


@pytest.mark.parametrize("words", starting("pytest", of=WHOLE + MENTIONED))
def test_tests_are_there(words: list[str]) -> None:
    for path in (word.partition("::")[0] for word in words if word.startswith("tests")):
        assert (ROOT / path).exists(), path


def test_links_lead_to_files() -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)]+)\)", TEXT)
    assert len(links) > 20
    missing = [link for link in links if not (ROOT / link).exists()]
    assert not missing


def test_code_compiles_and_its_imports_exist() -> None:
    nodes = [node for block in blocks("python") for node in ast.walk(ast.parse(block))]
    froms = [node for node in nodes if isinstance(node, ast.ImportFrom)]
    assert len(froms) > 5
    for node in froms:
        for name in node.names:
            exec(f"from {node.module} import {name.name}", {})


def test_there_is_something_to_check() -> None:
    counts = [len(starting(word, of=WHOLE)) for word in ("vujax", "python")]
    assert counts[0] > 40 and counts[1] > 10
    assert len(starting("python", of=MENTIONED)) > 15
    assert len(starting("pytest", of=MENTIONED)) > 5
