"""The alarm for memorized pairs, from the files of a run."""

import json

import pytest

from vujax.training.memorization import Checkup, describe_memorization, detect_memorization

PEAK = Checkup(200, 0.40, 3.0)


@pytest.mark.parametrize(
    ("last", "is_raised"),
    [
        (Checkup(300, 0.30, 2.0), True),
        (Checkup(300, 0.39, 2.0), False),  # within the noise
        (Checkup(300, 0.30, 3.5), False),  # the training itself went wrong
        (Checkup(300, 0.45, 2.0), False),
    ],
)
def test_recall_falls_while_the_loss_falls(last: Checkup, is_raised: bool):
    history = [Checkup(100, 0.20, 4.0), PEAK, last]
    assert detect_memorization(history) == (PEAK if is_raised else None)


def test_one_evaluation_says_nothing():
    assert detect_memorization([]) is None
    assert detect_memorization([PEAK]) is None


def write(workdir, recalls: dict[int, float]) -> None:
    (workdir / "evaluations").mkdir(exist_ok=True)
    lines = [{"step": step, "loss": 5.0 - step / 100} for step in range(0, 401, 10)]
    (workdir / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    for step, recall in recalls.items():
        metrics = {"text_to_image/R@1": recall, "image_to_text/R@1": recall, "images": 40}
        record = {"step": step, "name": "retrieval", "metrics": metrics}
        (workdir / "evaluations" / f"retrieval-{step}.json").write_text(json.dumps(record))


def test_the_first_fall_of_a_run_is_told(tmp_path):
    write(tmp_path, {100: 0.2, 200: 0.4})
    assert describe_memorization(tmp_path) is None
    write(tmp_path, {300: 0.3})
    sentence = describe_memorization(tmp_path)
    assert "recall fell from 0.400 at step 200 to 0.300 at step 300" in sentence
    assert "memorized: more dropout (method.dropout) or PSD" in sentence
    write(tmp_path, {400: 0.25})
    assert describe_memorization(tmp_path) is None  # once


def test_evaluations_without_recall_are_passed_over(tmp_path):
    (tmp_path / "evaluations").mkdir()
    record = {"step": 1, "name": "probe", "metrics": {"top1": 0.5}}
    (tmp_path / "evaluations" / "probe-1.json").write_text(json.dumps(record))
    assert describe_memorization(tmp_path) is None
