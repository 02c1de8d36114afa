"""Ctrl-C during a run of the command: one line, no process left, and the run can be resumed."""

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.pipeline.ingest.films import contents, film, staged
from tests.pipeline.workers.test_local import ROOT, until
from tools.disturb_ingest import find_readers
from vujax import cli
from vujax.catalog import schema
from vujax.catalog.validate import find_problems

pytestmark = pytest.mark.multiprocess
LONG = 1200  # frames, of which reading outlasts the short films


def start(words: list[str]) -> subprocess.Popen:
    """`vujax` with these words, in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "vujax.cli", *words],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # Tests that a shell runs in the background ignore Ctrl-C, and a child would inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def interrupt(words: list[str], moment: Callable[[subprocess.Popen], bool]) -> list[str]:
    """Ctrl-C at a moment of the run, as a terminal sends it; the words that go on with it."""
    child = start(words)
    until(lambda: moment(child))
    os.killpg(child.pid, signal.SIGINT)
    _, said = child.communicate(timeout=60)
    assert child.returncode == cli.INTERRUPTED
    assert find_readers(child) == []
    (line,) = said.splitlines()
    name, *again = shlex.split(line.removeprefix("interrupted; resume with: "))
    assert name == "vujax"
    return again


def test_ctrl_c_and_the_command_that_goes_on(tmp_path: Path) -> None:
    folder, out = tmp_path / 'the "films"', tmp_path / "out"
    for name, lengths in {"a": (LONG,), "b": (20, 30), "c": (25,), "d": (LONG, 9)}.items():
        film(folder / f"{name}.mp4", lengths)

    def words(root: Path) -> list[str]:
        return ["ingest", str(folder), "--out", str(root), "--detector=adaptive", "--workers=2"]

    # Both workers import their packages.
    again = interrupt(words(out), lambda child: len(find_readers(child)) == 2)
    assert again == words(out)
    assert schema.list_films(out) == []
    # One is in the midst of a long film, and the short ones are done.
    again = interrupt(again, lambda child: len(schema.list_films(out)) == 2 and staged(out))
    assert len(schema.list_films(out)) == 2
    assert list(find_problems(out)) == []  # nor anything that is being made
    last = start(again)
    said, _ = last.communicate(timeout=60)
    assert last.returncode == 0
    assert "2; 2 were already done" in said
    assert start(words(tmp_path / "calm")).wait(60) == 0
    assert contents(out) == contents(tmp_path / "calm")
