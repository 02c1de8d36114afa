import json
import shlex

import pytest

from vujax.training.sweep.__main__ import main

SWEEP = """
CONTROL = {"t": "clip"}
def sweep():
    return product(over("t", ["clip", "psd"]), over("seed", [0, 1]))
"""
WORK = """
if flags["config.t"] == "psd" and seed == 1:
    raise ValueError("no")
evaluate("retrieval", 10, r1=0.1 + 0.01 * seed + (0.2 if flags["config.t"] == "psd" else 0))
evaluate("retrieval", 9, r1=0.0)
finish()
"""


def test_a_sweep_ends_with_one_table_and_one_plot(sweep_file, trainer, tmp_path, capsys):
    out = tmp_path / "out"
    status = main(["--sweep", sweep_file(SWEEP), "--workdir", str(out)], trainer(WORK))
    assert status == 1
    printed = capsys.readouterr().out
    assert "| t psd | 1 | 0.3 | +0.2 |" in printed
    assert "| t psd | seed 1: ValueError: no |" in (out / "table.md").read_text()
    assert (out / "table.csv").read_text().startswith("t,seed,retrieval/r1 mean")
    assert (out / "plot.svg").read_text().startswith("<svg")


def test_only_the_table_and_only_the_lines(sweep_file, tmp_path, capsys):
    arguments = ["--sweep", sweep_file(SWEEP), "--workdir", str(tmp_path / "o u t")]
    assert main([*arguments, "--parallel", "0"], ["/nowhere"]) == 1
    assert capsys.readouterr().out.count("not run yet") == 4
    assert main([*arguments, "--print"], ["/nowhere"]) == 0
    lines = [shlex.split(line) for line in capsys.readouterr().out.splitlines()]
    assert [line[-2:] for line in lines] == [
        [f"--config.t={t}", f"--config.seed={s}"] for t in ("clip", "psd") for s in (0, 1)
    ]
    assert all(line[:3] == ["python", "-m", "vujax.main"] for line in lines)


def test_a_stopped_sweep_says_how_to_go_on(sweep_file, trainer, tmp_path, capsys):
    work = "signal.signal(signal.SIGTERM, lambda *_: sys.exit())\n"
    work += "os.kill(os.getppid(), signal.SIGINT); signal.pause()"
    arguments = ["--sweep", sweep_file(SWEEP), "--workdir", str(tmp_path / "out")]
    assert main(arguments, trainer(work)) == 130
    again = shlex.join(["python", "-m", "vujax.training.sweep", *arguments])
    assert f"stopped with 4 of 4 runs to do; to resume: {again}" in capsys.readouterr().out


def test_a_metric_that_no_run_has_is_named(sweep_file, trainer, tmp_path, capsys):
    text = "METRICS = ('retrieval/r2',)\ndef sweep():\n    yield {'t': 'clip'}"
    main(["--sweep", sweep_file(text), "--workdir", str(tmp_path / "out")], trainer(WORK))
    assert "no run has the metric 'retrieval/r2'" in capsys.readouterr().out


def test_parallel_must_be_a_number(sweep_file, tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["--sweep", sweep_file(SWEEP), "--workdir", str(tmp_path), "--parallel", "-1"])
    assert "invalid number of runs '-1'; expected 0, 1, 2" in capsys.readouterr().err


def test_the_trainer_gets_the_config_and_the_overrides(sweep_file, trainer, tmp_path):
    main(["--sweep", sweep_file(SWEEP), "--workdir", str(tmp_path / "out")], trainer("finish()"))
    releases = (tmp_path / "out").glob("*/release/config.json")
    flags = [json.loads(path.read_text()) for path in releases]
    assert {(f["config.t"], f["config.seed"]) for f in flags} == {
        (t, s) for t in ("clip", "psd") for s in "01"
    }
    assert all(f["config"].endswith("config.py:small") for f in flags)
