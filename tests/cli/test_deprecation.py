"""Old words of the command line work, with one warning that names the new word."""

import argparse
from pathlib import Path

import pytest

from vujax import cli
from vujax.cli.deprecation import add_old_option, rename_command


@pytest.mark.parametrize("command", ["search", "search-recall"])
def test_searcher_is_backend(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    parser, _ = cli.build_parser([command])
    words = [command, "catalog", "--searcher", "faiss"]
    assert parser.parse_args(words).backend == "faiss"
    (line,) = capsys.readouterr().err.splitlines()
    assert line == "vujax: warning: --searcher is deprecated; use --backend"
    assert parser.parse_args([command, "catalog", "--backend", "faiss"]).backend == "faiss"
    assert capsys.readouterr().err == ""


def test_choices_hold_for_the_old_option_too(capsys: pytest.CaptureFixture[str]) -> None:
    parser, _ = cli.build_parser(["search"])
    with pytest.raises(SystemExit):
        parser.parse_args(["search", "catalog", "--searcher", "no-such"])
    assert "no-such" in capsys.readouterr().err


def test_old_options_are_hidden_and_change_no_default() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--new", type=int, default=3)
    add_old_option(parser, "--old", "--new")
    assert "--old" not in parser.format_help()
    assert parser.parse_args([]).new == 3
    assert parser.parse_args(["--old", "4"]).new == 4


def test_cinema_is_synthesize(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["cinema", "--out", str(tmp_path / "films"), "--width", "33"]) == 1
    first, second = capsys.readouterr().err.splitlines()
    assert first == "vujax: warning: `vujax cinema` is deprecated; use `vujax synthesize`"
    assert second.startswith("vujax: error: ") and "must be even" in second


def test_other_words_stay(capsys: pytest.CaptureFixture[str]) -> None:
    assert rename_command(["scenes", "cinema"]) == ["scenes", "cinema"]
    assert rename_command([]) == []
    assert capsys.readouterr().err == ""
