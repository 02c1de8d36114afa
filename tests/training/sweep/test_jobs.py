"""Jobs of a script: one process each, and a named failure."""

import pytest

from vujax.training.sweep.jobs import run_jobs

SCRIPT = """
import sys, pathlib
folder, name = sys.argv[1:]
if name == "bad":
    raise SystemExit("no such thing")
(pathlib.Path(folder) / name).write_text("made")
print("made", name)
"""


@pytest.fixture
def script(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    return str(tmp_path / "script.py")


def test_all_are_run_and_leave_a_log(script, tmp_path, capsys):
    names = [f"job-{i}" for i in range(5)]
    jobs = [(name, [str(tmp_path), name]) for name in names]
    run_jobs(script, jobs, tmp_path / "logs", 2)
    assert all((tmp_path / name).read_text() == "made" for name in names)
    assert (tmp_path / "logs" / "job-3.log").read_text() == "made job-3\n"
    assert capsys.readouterr().out.splitlines() == names


def test_a_failure_is_told_after_those_beside_it(script, tmp_path):
    jobs = [(name, [str(tmp_path), name]) for name in ("bad", "good", "late")]
    with pytest.raises(RuntimeError, match=r"bad failed: see .*bad\.log"):
        run_jobs(script, jobs, tmp_path / "logs", 2)
    assert (tmp_path / "good").exists() and not (tmp_path / "late").exists()
    assert "no such thing" in (tmp_path / "logs" / "bad.log").read_text()
