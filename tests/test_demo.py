"""The demo: what is right by truth, its page, and a tiny training of every method."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from experiments import demo, demo_page
from experiments.demo import CLIP, METHODS, PSD, TRUTH, Frames, Judge, Results, Run, Sizes
from tests.html import Elements
from vujax.data.captions import EmbeddingPairs
from vujax.data.feature_pairs import FeaturePairs
from vujax.data.sources import open_source
from vujax.data.synthetic.captions import Caption
from vujax.evals import feature_retrieval
from vujax.evals.suspects import PairScores

SIZES = Sizes(frames=48, held_out=32, epochs=2, batch_size=16, hidden=8, seeds=2)
EVIL = "</b><script>alert(1)</script>"


def open_stub(sources: dict, *_: object, **__: object) -> FeaturePairs:
    """Embeddings that tell a frame's facts, and a caption's."""
    source = open_source(**sources["main"])
    truths = [source.truth(i) for i in range(len(source))]
    names = sorted({fact for truth in truths for fact in truth.facts.items()})
    rng = np.random.default_rng(0)
    codes = dict(zip(names, rng.normal(size=(len(names), 12)), strict=True))
    images = [sum(codes[fact] for fact in truth.facts.items()) for truth in truths]
    texts = [sum(codes[fact] for fact in truth.captions[0].facts) for truth in truths]
    captions = tuple((truth.captions[0].text,) for truth in truths)
    keys = tuple(f"frame {i}" for i in range(len(truths)))
    pairs = EmbeddingPairs(np.array(images, np.float32), captions, keys, "lite")
    return FeaturePairs(pairs, np.array(texts, np.float32))


@pytest.fixture(autouse=True)
def no_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "open_feature_pairs", open_stub)
    monkeypatch.setattr(feature_retrieval, "open_feature_pairs", open_stub)


@pytest.fixture
def frames() -> Frames:
    return Frames(demo.frame_options("train", SIZES.frames), Path("unused"))


@pytest.fixture
def results(frames: Frames) -> Results:
    """Results of trainings that never were."""
    held_out = Frames(demo.frame_options("validation", SIZES.held_out), Path("unused"))
    judge = Judge(held_out, Path("unused"), SIZES.hidden)
    noisy = [frames.shuffle(demo.WRONG, seed) for seed in range(2)]
    runs = {name: [invent(judge, noisy[0], seed) for seed in range(2)] for name in METHODS}
    return Results(SIZES, frames, judge, noisy, runs, runs)


def invent(judge: Judge, noisy: FeaturePairs, seed: int) -> Run:
    rng = np.random.default_rng(seed)
    count = len(noisy)
    nearest = rng.permuted(np.tile(np.arange(SIZES.held_out), (len(judge.texts), 1)), axis=1)
    scores = PairScores(
        rng.normal(size=count) - 5 * noisy.shuffled,
        rng.normal(size=count),
        rng.integers(0, 8, count),
        rng.normal(size=count),
    )
    return Run([(3, 20.0), (6, 10.0 + seed)], 30.0, nearest[:, : demo.TOP], scores, 0.9)


def test_a_shuffled_caption_that_fits_is_right(frames: Frames) -> None:
    noisy = frames.shuffle(0.4, 0)
    own = [frames.captions[text] for (text,) in noisy.captions]
    fits = frames.match(own)
    np.testing.assert_array_equal(noisy.shuffled, ~fits.diagonal())
    moved = np.array([a != b for a, b in zip(noisy.captions, frames.pairs.captions, strict=True)])
    assert not noisy.shuffled[~moved].any() and noisy.shuffled.sum() >= 0.8 * moved.sum() > 0
    assert fits[0, 5] == own[0].fits(frames.facts[5])
    assert not frames.shuffle(0.0, 0).shuffled.any()
    told = demo.select_pairs(noisy, TRUTH)
    assert len(told) == (~noisy.shuffled).sum() and not told.shuffled.any()
    assert demo.select_pairs(noisy, CLIP) is noisy


def test_every_training_has_the_same_number_of_steps() -> None:
    for count in (48, 29, 7):
        settings = SIZES.settings(METHODS[PSD], count)
        assert round(settings.epochs * count / settings.batch_size) == SIZES.steps == 6


def test_every_method_has_as_many_tries_and_one_of_them_is_taken() -> None:
    assert {len(tries) for tries in demo.TRIES.values()} == {4}
    assert set(demo.TRIES) == set(METHODS) - {CLIP}
    assert all(METHODS[name] in tries for name, tries in demo.TRIES.items())


def test_precision_is_the_share_of_right_frames(results: Results) -> None:
    judge = results.judge
    best = np.argsort(~judge.right, axis=1, kind="stable")[:, : demo.TOP]
    share = np.minimum(judge.right.sum(axis=1), demo.TOP).mean() / demo.TOP
    assert judge.precision(best) == pytest.approx(100 * share)


def test_differences_are_paired(results: Results) -> None:
    gain = results.gain("recall")
    assert (gain.mean, gain.half_width) == (0.0, 0.0)
    assert results.estimate(PSD, "recall").mean == 10.5
    assert results.estimate(PSD, "recall").half_width > 1.0
    assert demo.show(results.estimate(PSD, "precision"), sign="+") == "+30.0 ± 0.0"


def test_the_page_shows_everything_and_runs_nothing(results: Results, tmp_path: Path) -> None:
    page = Elements(demo_page.write_page(results, tmp_path / "index.html").read_text())
    assert not page.of("script") and not page.of("link")
    assert len(page.of("article")) == demo_page.NUM_SUSPECTS
    answers = len(METHODS) * demo_page.NUM_QUERIES * demo_page.SHOWN
    assert len(page.of("img")) == demo_page.NUM_SUSPECTS + answers
    assert all(image["src"].startswith("data:image/jpeg;base64,") for image in page.of("img"))
    curves = [a for a in page.of("path", "line") if a["d"] != "M1 5H31"]
    assert len(curves) == len(METHODS) + 4  # and the ROC curves, one of them of guessing
    assert [a["class"] for a in curves].count("line series-3") == 1  # the truth's, not guessing
    for words in (demo_page.TITLE, "With true captions PSD gains nothing", "10.5 ± ", "Precision@"):
        assert words in page.text
    verdicts = {a["class"].split()[0] for a in page.of("span", "verdict")}
    assert verdicts == {"right", "wrong"}


def test_the_page_states_what_is_found_and_at_which_price(results: Results, tmp_path: Path) -> None:
    noisy = results.noisy[0]
    for name, sign in ((PSD, -1.0), (CLIP, 1.0)):
        scores = results.runs[name][0].scores._replace(
            image_to_text=sign * noisy.shuffled, text_to_image=sign * noisy.shuffled
        )
        object.__setattr__(results.runs[name][0], "scores", scores)
    page = Elements(demo_page.write_page(results, tmp_path / "index.html").read_text())
    wrong = int(noisy.shuffled.sum())
    assert f"Of the {wrong} that a model doubts most, this many are: {wrong} (PSD)" in page.text
    assert ", 0 (CLIP)." in page.text
    assert "of the right ones: 100% (CLIP)" in page.text and "0% (PSD)" in page.text


def test_a_loss_with_true_captions_is_said(results: Results, tmp_path: Path) -> None:
    worse = [dataclasses.replace(run, curve=[(6, 1.0)]) for run in results.runs[PSD]]
    changed = dataclasses.replace(results, true_runs=results.true_runs | {PSD: worse})
    page = Elements(demo_page.write_page(changed, tmp_path / "index.html").read_text())
    assert "PSD gains nothing and loses a little: -9.5 ± " in page.text


def test_a_caption_is_text(results: Results, tmp_path: Path) -> None:
    noisy = results.noisy[0]
    images = dataclasses.replace(noisy.images, captions=((EVIL,),) * len(noisy))
    results.train.captions[EVIL] = Caption(EVIL, ())
    scores = results.runs[PSD][0].scores._replace(best=np.zeros(len(noisy), np.int64))
    object.__setattr__(results.runs[PSD][0], "scores", scores)
    results.noisy[0] = dataclasses.replace(noisy, images=images)
    page = Elements(demo_page.write_page(results, tmp_path / "index.html").read_text())
    assert not page.of("script") and EVIL in page.text


def test_a_gain_with_true_captions_is_said(results: Results, tmp_path: Path) -> None:
    better = [dataclasses.replace(run, curve=[(6, 90.0)]) for run in results.runs[PSD]]
    changed = dataclasses.replace(results, true_runs=results.true_runs | {PSD: better})
    page = Elements(demo_page.write_page(changed, tmp_path / "index.html").read_text())
    assert "gains nothing" not in page.text and "With true captions the difference is" in page.text


@pytest.mark.long
def test_the_demo_runs(tmp_path: Path) -> None:
    lines: list[str] = []
    results = demo.run(SIZES, tmp_path / "cache", lines.append)
    demo.write(results, tmp_path, lines.append)
    text = "\n".join(lines)
    assert all(f"\n{name}  " in text for name in METHODS) and "vujax pairs suspects" in text
    assert (tmp_path / "index.html").is_file() and (tmp_path / "table.csv").is_file()
    first = results.runs[CLIP][0]
    assert [step for step, _ in first.curve] == [1, 2, 3, 6] and 0 <= first.recall <= 100
    assert [step for step, _ in results.true_runs[PSD][0].curve] == [6]
    assert len(results.runs[TRUTH][0].scores.best) == (~results.noisy[0].shuffled).sum()
    np.testing.assert_array_less(first.nearest, SIZES.held_out)
