import fcntl
import json
import os

import pytest

from vujax.training.sweep.launch import launch, read_last_error, run_jobs
from vujax.training.sweep.plan import read_plan

SEEDS = "def sweep():\n    return over('seed', range({}))"


@pytest.fixture
def plan_of(sweep_file, tmp_path):
    return lambda runs: read_plan(sweep_file(SEEDS.format(runs)), tmp_path / "out")


def test_a_failed_run_leaves_its_last_error_and_the_others_go_on(plan_of, trainer):
    plan, said = plan_of(3), []
    work = (
        "if seed == 0:\n    print('step 1\\rstep 2'); raise ValueError('no such width')\nfinish()"
    )
    assert launch(plan, trainer(work), 1, said.append)
    assert [run.is_finished for run in plan.runs] == [False, True, True]
    assert read_last_error(plan.runs[0]) == "ValueError: no such width"
    assert "run 1 of 3 (seed 0) failed (ValueError: no such width)" in said[1]
    assert "left" in said[3]


@pytest.mark.parametrize(
    ("work", "words"),
    [
        ("print('a sentence'); sys.exit(3)", "a sentence"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "killed by SIGKILL"),
        ("print('saved step 3')", "ended without a release"),
        ("sys.exit(2)", "ended without output"),
    ],
)
def test_each_ending_has_its_words(plan_of, trainer, work, words):
    plan = plan_of(1)
    launch(plan, trainer(work), 1, lambda line: None)
    assert read_last_error(plan.runs[0]).startswith(words)


def test_the_words_are_those_of_the_last_attempt(plan_of, trainer):
    plan = plan_of(1)
    for work in ("raise ValueError('first')", "sys.exit('a second time')"):
        launch(plan, trainer(work), 1, lambda line: None)
    assert read_last_error(plan.runs[0]) == "a second time"


def test_finished_runs_are_not_run_again_and_failed_ones_are(plan_of, trainer):
    plan, said = plan_of(2), []
    launch(plan, trainer("finish() if seed else sys.exit('wait')"), 1, said.append)
    launch(plan, trainer("(workdir / 'second').touch(); finish()"), 1, said.append)
    assert [(run.workdir / "second").exists() for run in plan.runs] == [True, False]
    assert "1 of 2 runs are finished already" in said


def test_runs_side_by_side_share_out_the_cores(plan_of, trainer, tmp_path):
    os.mkfifo(tmp_path / "meet")
    # Both ends of a fifo open only when both runs are there.
    work = f"open({str(tmp_path / 'meet')!r}, 'rw'[seed]).close()\n"
    work += "(workdir / 'cores').write_text(json.dumps(sorted(os.sched_getaffinity(0))))\nfinish()"
    plan = plan_of(2)
    launch(plan, trainer(work), 2, lambda line: None)
    cores = [set(json.loads((run.workdir / "cores").read_text())) for run in plan.runs]
    if len(os.sched_getaffinity(0)) > 1:
        assert not cores[0] & cores[1]
    assert cores[0] | cores[1] == os.sched_getaffinity(0)


def test_no_more_than_asked_run_at_once(plan_of, trainer):
    # One at a time and in order, each run finds all that come before it finished.
    work = "if len(list(workdir.parent.glob('*/release/config.json'))) == seed:\n    finish()"
    plan = plan_of(4)
    launch(plan, trainer(work), 1, lambda line: None)
    assert all(run.is_finished for run in plan.runs)


SAVE_ON_SIGTERM = """
if (workdir / "saved").exists():
    finish()
    sys.exit()
def save(number, frame):
    (workdir / "saved").touch()
    sys.exit()
signal.signal(signal.SIGTERM, save)
os.kill(os.getppid(), signal.SIGINT)  # the user's Ctrl-C, once this run is under way
signal.pause()
"""


def test_ctrl_c_lets_runs_save_and_the_next_sweep_resumes_them(plan_of, trainer):
    plan, said = plan_of(2), []
    assert not launch(plan, trainer(SAVE_ON_SIGTERM), 1, said.append)
    first, second = plan.runs
    assert (first.workdir / "saved").exists()
    assert read_last_error(first).startswith("stopped before its end")
    assert read_last_error(second) == "not run yet"
    (second.workdir).mkdir()
    (second.workdir / "saved").touch()
    assert launch(plan, trainer(SAVE_ON_SIGTERM), 1, said.append)
    assert first.is_finished
    assert second.is_finished


def test_a_second_ctrl_c_ends_runs_that_do_not_listen(plan_of, trainer):
    work = """
def again(number, frame):
    os.kill(os.getppid(), signal.SIGINT)
signal.signal(signal.SIGTERM, again)
os.kill(os.getppid(), signal.SIGINT)
while True:
    signal.pause()
"""
    plan, said = plan_of(1), []
    assert not launch(plan, trainer(work), 1, said.append)
    assert "run 1 of 1 (default) stopped" in said[-1]


def test_a_run_that_another_sweep_has_is_left_alone(plan_of, trainer):
    plan, said = plan_of(2), []
    plan.runs[0].log.parent.mkdir()
    with plan.runs[0].log.open("ab") as log:
        fcntl.flock(log, fcntl.LOCK_EX)
        launch(plan, trainer("finish()"), 1, said.append)
        assert read_last_error(plan.runs[0]) == "still running"
    assert [run.is_finished for run in plan.runs] == [False, True]
    assert "run 1 of 2 (seed 0) runs elsewhere" in said[0]


def test_the_lock_lives_as_long_as_the_run(plan_of, trainer):
    # The run itself asks whether its log is locked against others.
    work = """
import fcntl
with open(f"{workdir}.log") as log:
    try:
        fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        finish()
"""
    plan = plan_of(1)
    launch(plan, trainer(work), 1, lambda line: None)
    assert plan.runs[0].is_finished


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
