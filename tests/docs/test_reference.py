"""The generated reference pages are those of the code as it is."""

import runpy

import pytest

from tests.configs import ROOT

generator = runpy.run_path(str(ROOT / "tools" / "docs_reference.py"), run_name="docs_reference")


def test_pages_are_up_to_date() -> None:
    outdated = [str(path.relative_to(ROOT)) for path in generator["stale"]()]
    assert not outdated, "run python tools/docs_reference.py"


def test_check_names_a_stale_page(
    tmp_path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(generator["stale"].__globals__, "PAGES", tmp_path)
    assert generator["main"](["--check"]) == 1
    assert "cli.md is out of date" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_public_names_have_a_directive_where_they_are_defined() -> None:
    text = generator["python_page"]("vujax.losses", ("vujax.losses",))
    assert "\n::: vujax.losses.soft_alignment.soft_alignment\n" in text


def test_copied_pages_have_links_of_the_site() -> None:
    text = generator["copied_page"](ROOT / "CONTRIBUTING.md")
    assert text.startswith("# Contributing to vujax\n\n<!-- A copy of CONTRIBUTING.md")
    assert "](../how-to/add-method.md)" in text and "](changelog.md)" in text
    assert "](docs/" not in text and "](LICENSE)" not in text


def test_every_command_and_its_options_are_listed() -> None:
    from vujax import cli

    text = generator["cli_page"]()
    for name in cli.COMMANDS:
        assert f"\n## vujax {name}\n" in text
    assert "### vujax labels export" in text
    assert "| `--config` |" in text


def test_meanings_come_from_comments_and_docstrings() -> None:
    text = generator["config_page"]()
    assert "| `init_part` | `[]` |  | (prefix of the names there, prefix here)" in text
    assert "| `method.teacher_decay` | `0.99` |  | of that average, per optimizer step |" in text
