"""Effective robustness by hand, and its table."""

import math

import pytest

from vujax.evals.robustness import (
    BASELINES,
    effective_robustness,
    main,
    predict_accuracy,
    read_table,
)


def test_clip_rn50_trained_on_cc12m():
    gain = effective_robustness(0.3647, {"v2": 0.310, "sketch": 0.241})
    assert (round(100 * gain["v2"], 1), round(100 * gain["sketch"], 1)) == (4.3, 19.2)


def test_a_model_on_the_line_has_none():
    for shift, (slope, intercept) in BASELINES.items():
        on_line = 1 / (1 + math.exp(-(slope * math.log(0.7 / 0.3) + intercept)))
        assert predict_accuracy(0.7, shift) == pytest.approx(on_line)
        assert effective_robustness(0.7, {shift: on_line})[shift] == pytest.approx(0)


@pytest.mark.parametrize("accuracy", [0.0, 1.0, 36.47])
def test_percent_is_not_a_fraction(accuracy):
    with pytest.raises(ValueError, match="between 0 and 1"):
        predict_accuracy(accuracy, "v2")
    with pytest.raises(ValueError, match="no fitted baseline for 'v3'"):
        predict_accuracy(0.5, "v3")


def test_command_line(capsys):
    main(["--imagenet", "36.47", "--v2", "31.0", "--sketch", "24.1"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[2:] == [
        "| model | 36.47 | v2 | 31.00 | 26.70 | +4.3 |",
        "| model | 36.47 | sketch | 24.10 | 4.91 | +19.2 |",
    ]


def test_table(tmp_path, capsys):
    path = tmp_path / "a.csv"
    path.write_text("model,imagenet,v2,r\nrn50,36.47,31.0,\nvit,63.2,,69.3\n")
    assert read_table(path)[0] == ("rn50", {"imagenet": pytest.approx(0.3647), "v2": 0.31})
    main([str(path)])
    assert "| vit | 63.20 | r | 69.30 |" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model,v2\na,3\n", "needs a header with a column 'imagenet'"),
        ("imagenet,v2\nx,3\n", "row 1: accuracies must be numbers"),
        ("imagenet,v2\n,3\n", "row 1 has no accuracy on imagenet"),
        ("imagenet,v2\n0,3\n", "must lie between 0 and 1"),
    ],
)
def test_bad_tables_end_with_a_sentence(tmp_path, capsys, text, message):
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(SystemExit):
        main([str(path)])
    assert message in capsys.readouterr().err
