import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from vujax.training.sweep.plan import build_command, name_run, read_plan


def test_a_plan_holds_the_points_in_order_each_once(sweep_file, tmp_path):
    file = sweep_file(
        "METRICS = ('retrieval/r1',)\nCONTROL = {'a': 1}\n"
        "def sweep():\n    return chain(over('a', [1, 2]), over('a', [2, 3]))"
    )
    plan = read_plan(file, tmp_path / "out")
    assert [run.overrides for run in plan.runs] == [{"a": 1}, {"a": 2}, {"a": 3}]
    assert plan.metrics == ("retrieval/r1",)
    assert plan.control == {"a": 1}
    assert plan.config.endswith("config.py:small")


def test_a_config_file_with_a_sweep_is_its_own_config(tmp_path):
    file = tmp_path / "config.py"
    file.write_text("def get_config(arg):\n    return {}\ndef sweep():\n    yield {'seed': 1}")
    plan = read_plan(f"{file}:small", tmp_path)
    assert plan.config == f"{file}:small"


def test_a_changed_point_or_config_never_has_the_name_of_another():
    names = [
        name_run("c.py", {"a.width": 64, "seed": 1}),
        name_run("c.py", {"b.width": 64, "seed": 1}),
        name_run("c.py:large", {"a.width": 64, "seed": 1}),
        name_run("c.py", {"a.width": "64", "seed": 1}),
        name_run("c.py", {"a.width": 64.0, "seed": 1}),
    ]
    assert len(set(names)) == len(names)
    assert names[0].startswith("width-64_seed-1_")
    assert names[0] == name_run("c.py", {"seed": 1, "a.width": 64})


HOSTILE = "../../x; touch $(id) `id` 'q' \"d\" \n* --flag=1"


def test_names_hold_nothing_that_a_shell_or_a_path_reads():
    name = name_run("c.py", {"data.pattern": HOSTILE})
    assert re.fullmatch(r"[A-Za-z_][A-Za-z0-9._-]*", name)
    assert name_run("c.py", {"data.pattern": "x" * 999, "seed": 3})[80:].startswith("_seed-3_")


def test_values_reach_the_program_as_they_are(sweep_file, tmp_path):
    values = {"data.pattern": HOSTILE, "lr": 1e-4, "on": True, "none": None, "sizes": (1, 2)}
    plan = read_plan(sweep_file(f"def sweep():\n    yield {values!r}"), tmp_path / "o u t")
    arguments = build_command(plan, plan.runs[0], ["train"])
    assert arguments == [
        "train",
        f"--config={plan.config}",
        f"--workdir={plan.runs[0].workdir}",
        f"--config.data.pattern={HOSTILE}",
        "--config.lr=0.0001",
        "--config.on=True",
        "--config.none=None",
        "--config.sizes=(1, 2)",
    ]
    echo = [sys.executable, "-c", "import sys; print(ascii(sys.argv[1:]))", *arguments[1:]]
    shell = subprocess.run(shlex.join(echo), shell=True, capture_output=True, text=True, check=True)
    assert shell.stdout.strip() == ascii(arguments[1:])


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", r"defines no sweep\(\)"),
        ("def sweep():\n    return []", "returned no points"),
        ("def sweep():\n    yield {'a b': 1}", "'a b' is not a dotted config key"),
        ("def sweep():\n    yield {'a': {}}", "'a' holds a dict"),
        ("import numpy\ndef sweep():\n    yield {'a': numpy.float64(1)}", "'a' holds a float64"),
        ("CONTROL = {'a': 2}\ndef sweep():\n    yield {'a': 1}", "no point .* CONTROL"),
    ],
)
def test_a_faulty_sweep_file_gets_one_sentence(sweep_file, tmp_path, text, sentence):
    with pytest.raises(ValueError, match=sentence):
        read_plan(sweep_file(text), tmp_path)


def test_missing_files_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"the sweep is not a file: 'nowhere\.py'"):
        read_plan("nowhere.py", tmp_path)
    file = tmp_path / "s.py"
    file.write_text("CONFIG = 'gone.py:small'\ndef sweep():\n    yield {}")
    with pytest.raises(FileNotFoundError, match=r"the CONFIG of .*s\.py is not a file: 'gone\.py'"):
        read_plan(str(file), tmp_path)
    file.write_text("def sweep():\n    yield {}")
    with pytest.raises(ValueError, match="names no config"):
        read_plan(str(file), Path(tmp_path))
