"""metrics.jsonl: appended, cut back on resume, readable after a kill."""

import json

from vujax.training import logging


def test_resume_drops_what_came_after_the_checkpoint(tmp_path):
    first = logging.MetricWriter(tmp_path, 0)
    for step in (1, 2, 3):
        first.write(step, {"loss": float(step)})
    first.close()
    with (tmp_path / logging.METRICS_FILE).open("a") as file:
        file.write('{"step": 4, "lo')  # a kill in the middle of a line
    assert [line["step"] for line in logging.read_metrics(tmp_path)] == [1, 2, 3]
    second = logging.MetricWriter(tmp_path, 2)
    second.write(3, {"loss": 30.0})
    second.close()
    lines = [
        json.loads(line) for line in (tmp_path / logging.METRICS_FILE).read_text().splitlines()
    ]
    assert lines == [{"step": 1, "loss": 1.0}, {"step": 2, "loss": 2.0}, {"step": 3, "loss": 30.0}]
    assert list((tmp_path / "tensorboard").iterdir())


def test_meter_counts_since_the_last_report():
    meter = logging.ThroughputMeter()
    meter.add_wait(1e9)
    meter.add_examples(32)
    assert meter.pop_rates()["data_wait_share"] == 1.0
    assert meter.pop_rates() == {"examples_per_s": 0.0, "data_wait_share": 0.0}
