"""The report: strings are escaped, numbers are right, and a browser renders the page."""

import base64
import io
import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vujax.evals.base import Example
from vujax.training.report import (
    build_table,
    encode_data_uri,
    group_evaluations,
    read_evaluations,
    write_report,
)
from vujax.utils.html.charts import curve, is_noisy, smoothed, sparkline, thinned
from vujax.utils.html.document import Markup, is_share, number, percent, tag, ticks

EVIL = '<script>document.title="pwned"</script><img src=x onerror=alert(1)> "quoted" & more'
FACTS = {"devices": "8 x cpu", "versions": "jax 0.10.2"}


def example(caption: str = "a cat", n: int = 5) -> Example:
    images = np.full((n, 64, 64, 3), 90, np.uint8)
    correct = np.arange(n) % 2 == 0
    return Example(caption, images, correct, np.linspace(0.9, 0.1, n, dtype=np.float32))


@pytest.fixture
def workdir(tmp_path: Path) -> Path:
    """Write a run of 60 steps with two evaluations, two times each."""
    with (tmp_path / "metrics.jsonl").open("w") as file:
        for step in range(1, 61):
            line = {"step": step, "loss": 5.0 / step, "scale": 14.3, "zebra": step, EVIL: 1.0}
            line |= {"unaligned_share": step / 60, "alarm/low_rank": float(step in (7, 9))}
            file.write(json.dumps(line) + "\n")
    (tmp_path / "evaluations").mkdir()
    for step in (30, 60):
        for name in ("retrieval", "zero_shot"):
            one = {"step": step, "name": name, "metrics": {"top1": step / 100, "classes": 12}}
            one["baselines"] = {"chance": {"top1": 0.0833}, "histogram": {"top1": 0.25}}
            path = tmp_path / "evaluations" / f"{name}-{step}.json"
            path.write_text(json.dumps(one))
    (tmp_path / "config.json").write_text(json.dumps({"note": EVIL}))
    return tmp_path


def write(workdir: Path, retrieved=()) -> str:
    page = write_report(
        workdir, title="run <1>", command=f"python {EVIL}", facts=FACTS, retrieved=retrieved
    )
    assert page == workdir / "report.html"
    return page.read_text()


def test_the_page_shows_curves_scores_pictures_and_config(workdir: Path):
    page = write(workdir, [example("a dog", 7), example()])
    for title in ("Loss", "Alpha", "Scale"):
        assert f"<b>{title}</b>" in page
    assert page.count('class="chart"') == 5  # three with a title, two others folded
    assert page.count("data:image/png") == 2 * 5  # at most five a caption
    assert page.count("✓ right") == 2 * 3 and page.count("✗ wrong") == 2 * 2
    assert "<b>60.0%</b>" in page and ">8.3%<" in page and ">25.0%<" in page
    assert page.index("<h3>zero_shot</h3>") < page.index("<h3>retrieval</h3>")
    assert "low_rank (steps 7 to 9)" in page
    assert "8 x cpu" in page and "config.json" in page


def test_no_string_becomes_markup(workdir: Path):
    page = write(workdir, [example(EVIL)])
    assert "run &lt;1&gt;" in page
    assert page.count("<script>") == 1  # the page's own
    assert "<img src=x" not in page
    # The caption, the command, the config and a scalar's name: text in all four places.
    assert page.count("&lt;script&gt;") >= 4


def test_the_page_needs_nothing_else(workdir: Path):
    page = write(workdir, [example()])
    assert not re.search(r"(src|href)=.?(https?:)?//", page)
    assert "http://" not in page and "https://" not in page and "url(" not in page
    assert "default-src &#x27;none&#x27;" in page


def test_written_whole_or_not_at_all(workdir: Path):
    write(workdir)
    before = (workdir / "report.html").read_bytes()
    broken = Example("a cat", np.zeros((1, 2, 2, 9), np.uint8), np.ones(1), np.ones(1))
    with pytest.raises(TypeError):
        write(workdir, [broken])
    assert (workdir / "report.html").read_bytes() == before
    assert [path.name for path in workdir.glob("*report*")] == ["report.html"]


def test_an_empty_workdir_makes_sense(tmp_path: Path):
    page = write(tmp_path)
    for words in ("No evaluation has been made", "No training step", "No images", "no config"):
        assert words in page


def test_one_line_of_metrics_and_a_cut_off_one(tmp_path: Path):
    (tmp_path / "metrics.jsonl").write_text('{"step": 10, "loss": NaN}\n{"step": 20, "lo')
    page = write(tmp_path)
    assert "no finite value" in page
    (tmp_path / "metrics.jsonl").write_text('{"step": 10, "loss": 2.5}\n')
    assert "last 2.5" in write(tmp_path)


@pytest.mark.parametrize(
    "content", ["{", "[]", '{"step": 1}', '{"step": 1, "name": "x", "metrics": {"a": "b"}}']
)
def test_a_broken_evaluation_is_named(tmp_path: Path, content: str):
    (tmp_path / "evaluations").mkdir()
    (tmp_path / "evaluations" / "x-1.json").write_text(content)
    with pytest.raises(ValueError, match=r"x-1\.json does not hold an evaluation .*evaluate again"):
        read_evaluations(tmp_path)


def test_tags_escape_text_and_attributes():
    assert tag("p", "<b>", None, ["&", tag("i", "x")]) == "<p>&lt;b&gt;&amp;<i>x</i></p>"
    assert tag("a", title='"<', class_="c", hidden=True, lang=None) == (
        '<a title="&quot;&lt;" class="c" hidden></a>'
    )
    assert tag("img", src="x") == '<img src="x">'
    assert isinstance(tag("p"), Markup) and tag("svg", viewBox="0 0 1 1").startswith(
        "<svg viewBox="
    )


@pytest.mark.parametrize(
    "value, text",
    [
        *(
            (2.0, "2"),
            (0.12345, "0.1235"),
            (12345.6, "12,346"),
            (0.00075, "0.00075"),
            (0.0000123, "1.23e-5"),
        ),
        *((0.0, "0"), (-3.5, "-3.5"), (float("nan"), "not finite")),
    ],
)
def test_numbers_as_people_read_them(value: float, text: str):
    assert number(value) == text


def test_shares_are_percent_and_ranks_are_not():
    assert percent(0.1234) == "12.3%"
    assert is_share("top1", [0.0, 1.0])
    assert not is_share("median_rank", [1.0]) and not is_share("classes", [12.0])


@pytest.mark.parametrize("low, high", [(0, 1), (-3.2, 7.9), (14.3, 14.4), (1e-5, 9e-4), (0, 1e6)])
def test_ticks_are_few_round_and_inside(low: float, high: float):
    found = ticks(low, high)
    assert 2 <= len(found) <= 8
    assert all(low - 1e-9 <= t <= high + 1e-9 for t in found)
    assert np.allclose(np.diff(found), found[1] - found[0])


def test_thinning_keeps_spikes_and_gaps():
    points = [(step, 1.0) for step in range(5000)]
    points[1234] = (1234, 99.0)
    points[2345] = (2345, float("nan"))
    kept = thinned(points)
    assert len(kept) <= 240
    assert (1234, 99.0) in kept and any(step == 2345 for step, _ in kept)
    assert [step for step, _ in kept] == sorted(step for step, _ in kept)


def test_smoothing_keeps_straight_lines_and_tames_noise():
    line = [(step, 2.0 * step) for step in range(100)]
    np.testing.assert_allclose(smoothed(line)[5:-5], line[5:-5], rtol=1e-6)
    noise = [(step, float((-1) ** step)) for step in range(100)]
    assert np.abs([y for _, y in smoothed(noise)][10:-10]).max() < 0.3
    assert is_noisy([y for _, y in noise]) and not is_noisy([y for _, y in line])


def test_a_curve_with_a_gap_is_two_strokes_of_the_right_place():
    points = [(0, 0.0), (1, 1.0), (2, float("nan")), (3, 1.0), (4, 0.0)]
    figure = curve(points, "Loss", "")
    path = re.search(r'<path d="([^"]*)"', figure).group(1)
    strokes = [re.findall(r"([\d.]+) ([\d.]+)", stroke) for stroke in path.split("M")[1:]]
    assert [len(stroke) for stroke in strokes] == [2, 2]
    (x0, y0), (x1, y1) = (tuple(map(float, point)) for point in strokes[0])
    assert x0 < x1 and y0 > y1  # SVG's y points down
    assert "last 0, from 0 to 1" in figure


def test_sparklines_only_where_something_changes():
    assert "<svg" in sparkline([(1, 0.5), (2, 0.6)])
    assert "<svg" not in sparkline([(1, 0.5), (2, 0.5)])
    assert "<svg" not in sparkline([(1, 0.5)])


def test_a_table_has_the_latest_scores_and_all_steps():
    files = [
        {"step": s, "name": "e", "metrics": {"acc": s / 10, "n": 7}, "baselines": {}}
        for s in (4, 2)
    ]
    files[0]["baselines"] = {"other": {"acc": 0.9}}
    (evaluation,) = group_evaluations(files)
    assert evaluation.last == 4 and evaluation.history("acc") == [(2, 0.2), (4, 0.4)]
    markup = build_table(evaluation)
    assert "<b>40.0%</b>" in markup and ">90.0%<" in markup and "<b>7</b>" in markup
    assert "Scores at every step (2)" in markup and ">20.0%<" in markup


def test_small_pictures_are_lossless_and_large_ones_small():
    image = np.random.default_rng(0).integers(0, 256, (32, 48, 3), np.uint8)
    assert np.array_equal(_decoded(encode_data_uri(image)), image)
    large = np.random.default_rng(0).integers(0, 256, (500, 1000, 3), np.uint8)
    assert encode_data_uri(large).startswith("data:image/jpeg")
    assert _decoded(encode_data_uri(large)).shape == (112, 224, 3)


def _decoded(uri: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))))


def _chromium(page: Path, profile: Path, *flags: str) -> str:
    command = [shutil.which("chromium"), "--headless", "--no-sandbox", "--disable-gpu"]
    command += ["--disable-quic", "--no-first-run", "--disable-background-networking"]
    command += ["--disable-component-update", "--disable-sync", f"--user-data-dir={profile}"]
    run = subprocess.run(
        [*command, *flags, page.as_uri()], capture_output=True, text=True, timeout=120, check=True
    )
    return run.stdout


@pytest.mark.browser
def test_chromium_shows_the_page(workdir: Path, tmp_path_factory: pytest.TempPathFactory):
    write(workdir, [example(EVIL), example()])
    page, profile = workdir / "report.html", tmp_path_factory.mktemp("profile")
    dom = _chromium(page, profile, "--dump-dom")
    assert "<title>run &lt;1&gt;: vujax report</title>" in dom  # the caption's script did not run
    assert dom.count("<figure") == 5 + 2
    assert dom.count("<img") == 2 * 5
    assert "<q>&lt;script&gt;document.title" in dom
    # A page with a script error would still dump: its last line proves that ours ran.
    assert 'data-ready="true"' in dom


@pytest.mark.browser
@pytest.mark.parametrize("scheme, dark", [("1", False), ("0", True)])
def test_chromium_paints_both_colour_schemes(workdir: Path, tmp_path_factory, scheme, dark):
    write(workdir, [example()])
    picture, profile = workdir / "page.png", tmp_path_factory.mktemp("profile")
    flags = (f"--blink-settings=preferredColorScheme={scheme}", "--window-size=900,1200")
    _chromium(workdir / "report.html", profile, f"--screenshot={picture}", *flags)
    pixels = np.asarray(Image.open(picture).convert("L"))
    assert (np.median(pixels) < 80) == dark
    assert pixels.std() > 5  # something stands there
