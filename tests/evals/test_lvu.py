"""LVU from embeddings: the reported list chooses nothing, and no clip is dropped."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.data.lvu_files import TRAIN, VAL, movie, write_lvu
from vujax.data.datasets.lvu import LvuTask
from vujax.evals.lvu import (
    LVU,
    constant_interval,
    evaluate,
    group_by_clip,
    paired_interval,
    read_clip_embeddings,
    score_interval,
    seed_interval,
)
from vujax.evals.lvu.__main__ import LABELS, LEAK, SYNOPSIS, main
from vujax.evals.lvu.clip_embeddings import (
    TEXT_GRID,
    Windows,
    embed_texts,
    read_own_descriptions,
    read_shot_labels,
    read_synopses,
)
from vujax.evals.lvu.probe import GRID, fit_path, ridge_path, softmax
from vujax.evals.lvu.score import score_best_constant
from vujax.evals.metrics.bootstrap import bootstrap

CLASS_OF = np.array([0, 1, 4, 0])
SMALL = (1e-3, 1e-1, 10.0)


def telling(clips: int, noise: float = 0.3, seed: int = 0, windows: int = 2) -> dict:
    """Return embeddings that reveal a clip's class (see lvu_files), with some noise."""
    rng = np.random.default_rng(seed)
    found = {}
    for clip in range(clips):
        seen = np.zeros(5)
        seen[CLASS_OF[clip % 4]] = 1
        found[f"c{clip}"] = seen + noise * rng.normal(size=(windows, 5))
    return found


@pytest.fixture(scope="module")
def lvu(tmp_path_factory: pytest.TempPathFactory) -> LVU:
    return LVU.open(write_lvu(tmp_path_factory.mktemp("lvu")))


def test_vectors_that_tell_are_worth_something(lvu: LVU) -> None:
    score = evaluate(lvu["director"], telling(TRAIN + VAL), grid=SMALL)
    assert score.score > 0.9 and score.metric == "top1"
    assert score.covered.all() and len(score.hits) == VAL and score.train == (TRAIN, TRAIN)
    assert score.baselines["constant"] == {"covered": 0.5, "all": 0.5}  # class 0 is half of val
    assert score.baselines["best constant"] == {"covered": 0.5, "all": 0.5}
    assert score.baselines["chance"]["all"] == pytest.approx(1 / 3)  # of the 3 that occur
    assert set(score.predictions) <= {0, 1, 4}
    noise = {clip: vector - vector + 1 for clip, vector in telling(TRAIN + VAL).items()}
    assert evaluate(lvu["director"], noise, grid=SMALL).score == 0.5


def test_clips_without_vectors_are_counted_and_answered_by_the_constant(lvu: LVU) -> None:
    vectors = telling(TRAIN + VAL, noise=0)
    for clip in (3, 5, TRAIN, TRAIN + 1, TRAIN + 2):
        del vectors[f"c{clip}"]
    score = evaluate(lvu["director"], vectors, grid=SMALL)
    assert score.covered.tolist() == [False] * 3 + [True] * (VAL - 3)
    assert score.train == (TRAIN - 2, TRAIN) and score.score == 1
    assert score.predictions[:3].tolist() == [0, 0, 0] and score.hits[:3].tolist() == [1, 0, 0]
    assert score.score_on_all == (VAL - 2) / VAL
    assert score.baselines["constant"]["covered"] == pytest.approx(11 / 21)
    none = {f"c{clip}": np.ones(2) for clip in range(TRAIN)}
    nothing = evaluate(lvu["director"], none, grid=SMALL)
    assert np.isnan(nothing.score) and nothing.score_on_all == 0.5
    with pytest.raises(ValueError, match="none of the 60 clips of director's train list"):
        evaluate(lvu["director"], {f"c{TRAIN}": np.ones(2)})


def test_the_reported_list_chooses_nothing(lvu: LVU) -> None:
    """Other labels and other company in it leave every answer as it was."""
    task, vectors = lvu["director"], telling(TRAIN + VAL, noise=2)
    wanted = evaluate(task, vectors, grid=SMALL)
    turned = tuple(replace(one, target=4 - one.target) for one in task.lists["val"])
    other = evaluate(replace(task, lists={**task.lists, "val": turned}), vectors, grid=SMALL)
    np.testing.assert_array_equal(other.predictions, wanted.predictions)
    assert other.l2 == wanted.l2 and other.losses == wanted.losses
    few = replace(task, lists={**task.lists, "val": task.lists["val"][:3]})
    found = evaluate(few, vectors, grid=SMALL)
    np.testing.assert_array_equal(found.predictions, wanted.predictions[:3])
    with pytest.raises(ValueError, match="'val' is reported, so it may not choose"):
        evaluate(task, vectors, choose="val")
    with pytest.raises(ValueError, match="has no list 'test' to report; expected one of: val"):
        evaluate(task, vectors, report="test")
    with pytest.raises(ValueError, match="has no list 'train' to report"):
        evaluate(task, vectors, report="train")
    with pytest.raises(ValueError, match="unknown choose 'test'"):
        evaluate(task, vectors, choose="test")


def test_a_test_list_is_reported_and_the_validation_list_chooses(lvu: LVU) -> None:
    task, vectors = lvu["director"], telling(TRAIN + VAL, noise=1.5)
    train, val = task.lists["train"][:40], task.lists["train"][40:]
    whole = LvuTask(task.name, dict(train=train, val=val, test=task.lists["val"]), {})
    score = evaluate(whole, vectors, report="test", choose="val", grid=GRID)
    losses = {}
    for l2 in GRID:
        alone = evaluate(replace(whole, lists=dict(train=train, val=val)), vectors, grid=[l2])
        losses[l2] = 1 - alone.score
    assert score.losses == pytest.approx(losses, abs=0.051)  # one clip of 20: solvers start apart
    assert score.l2 == min(score.losses, key=lambda l2: (score.losses[l2], -l2))
    by_folds = evaluate(whole, vectors, report="test", grid=GRID)
    assert by_folds.losses != score.losses and by_folds.clips == score.clips


def test_a_train_clip_that_is_reported_is_not_learned_from(lvu: LVU) -> None:
    task = lvu["director"]
    reported = (*task.lists["val"], task.lists["train"][0])
    both = replace(task, lists={**task.lists, "val": reported})
    score = evaluate(both, telling(TRAIN + VAL), grid=SMALL)
    assert score.left_out == 1 and score.train == (TRAIN - 1, TRAIN - 1)
    assert score.shared.tolist() == [False] * VAL + [True]  # clips 1 and 2 are of its movie
    assert score.score_on_new == score.hits[:-1].mean()


def test_the_answer_of_a_clip_is_the_mean_of_its_windows(lvu: LVU, mesh1) -> None:
    task, vectors = lvu["director"], telling(TRAIN + VAL, noise=1, windows=3)
    score = evaluate(task, vectors, grid=[0.1], standardize=False)
    from vujax.evals.logistic import fit_softmax

    x = np.concatenate([vectors[f"c{k}"] for k in range(TRAIN)])
    y = np.repeat([{0: 0, 1: 1, 4: 2}[CLASS_OF[k % 4]] for k in range(TRAIN)], 3)
    linear = fit_softmax(x, y, classes=3, l2=0.1, mesh=mesh1)
    answers = [
        np.array([0, 1, 4])[softmax(linear.logits(vectors[one.clip])).mean(0).argmax()]
        for one in task.lists["val"]
    ]
    assert score.predictions.tolist() == answers


def test_clips_with_many_windows_count_as_one() -> None:
    vectors = {"a": np.zeros((9, 1)), "b": np.ones((1, 1)), "c": np.full((1, 1), 2)}
    windows = Windows.from_embeddings(vectors, ["a", "b", "c"])
    targets, there = np.array([0.0, 5.0, 9.0]), np.array([True, True, False])
    *_, (_, predict) = fit_path(windows, targets, there, ridge_path([10.0, 1e-9]), False)
    np.testing.assert_allclose(predict(windows.vectors)[[0, 9]], [[0], [5]], atol=1e-5)
    *_, (_, constant) = fit_path(windows, targets, there, ridge_path([1e9]), False)
    np.testing.assert_allclose(constant(windows.vectors), 2.5, atol=1e-5)  # not 0.5


def test_numbers(lvu: LVU) -> None:
    task = lvu["view_count"]
    target = {one.clip: one.target for one in task.all()}
    rng = np.random.default_rng(0)
    vectors = {clip: np.append(rng.normal(size=3), value) for clip, value in target.items()}
    score = evaluate(task, vectors)
    mean = np.mean([one.target for one in task.lists["train"]])
    assert score.metric == "mse" and np.isnan(score.chance)
    constant = np.mean([(one.target - mean) ** 2 for one in task.lists["val"]])
    best = np.var([one.target for one in task.lists["val"]])
    for name, value in (("constant", constant), ("best constant", best)):
        assert score.baselines[name] == dict.fromkeys(("covered", "all"), pytest.approx(value))
    assert set(score.baselines) == {"constant", "best constant"} and best < constant
    assert score.score < 0.05 < score.baselines["constant"]["all"]
    np.testing.assert_allclose(
        score.hits, (score.predictions - [*map(target.get, score.clips)]) ** 2
    )


@pytest.mark.parametrize("shape", [(40, 6), (12, 30)])
def test_ridge_is_the_solution_of_its_normal_equations(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=shape) + 3, rng.normal(size=shape[0])
    weights = rng.random(shape[0])
    weights[::4] = 0
    w = weights / weights.sum()
    for l2, predict in ridge_path([1e-3, 1.0])(x, y, weights):
        slope = predict(np.eye(shape[1])) - predict(np.zeros((1, shape[1])))
        error = predict(x)[:, 0] - y
        np.testing.assert_allclose(x.T @ (w * error) + l2 * slope[:, 0], 0, atol=1e-9)
        assert w @ error == pytest.approx(0, abs=1e-9)


@pytest.mark.parity
def test_answers_are_those_of_scikit_learn(lvu: LVU) -> None:
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    vectors = telling(TRAIN + VAL, noise=1.5, windows=1)

    def scored(task: LvuTask, model) -> np.ndarray:
        train, val = task.lists["train"], task.lists["val"]
        x, y = (np.stack([vectors[one.clip][0] for one in part]) for part in (train, val))
        model = make_pipeline(StandardScaler(), model)
        return model.fit(x, [one.target for one in train]).predict(y)

    for l2 in (1e-2, 1.0):
        theirs = LogisticRegression(C=1 / (l2 * TRAIN), tol=1e-8, max_iter=5000)
        ours = evaluate(lvu["director"], vectors, grid=[l2])
        np.testing.assert_array_equal(ours.predictions, scored(lvu["director"], theirs))
        ours = evaluate(lvu["like_ratio"], vectors, grid=[l2])
        theirs = scored(lvu["like_ratio"], Ridge(alpha=l2 * TRAIN))
        np.testing.assert_allclose(ours.predictions, theirs, rtol=1e-4, atol=1e-4)


def test_intervals_and_pairs(lvu: LVU) -> None:
    task = lvu["director"]
    runs = [evaluate(task, telling(TRAIN + VAL, 0.6, seed), grid=SMALL) for seed in (1, 2)]
    found = score_interval(runs)
    assert found.estimate == pytest.approx(np.mean([run.score for run in runs]))
    assert found.low < found.estimate < found.high
    hits = np.stack([run.hits for run in runs])
    assert score_interval(runs, by="movies") == bootstrap(hits, clusters=np.array(runs[0].movies))
    assert seed_interval(runs).estimate == pytest.approx(found.estimate)
    assert np.isinf(seed_interval(runs[:1]).high)
    same, count = paired_interval(runs, runs)
    assert same == (0, 0, 0) and count == VAL
    weak = telling(TRAIN + VAL, 5.0)
    del weak[f"c{TRAIN}"]
    other = evaluate(task, weak, grid=SMALL)
    difference, count = paired_interval(runs, [other], by="movies")
    assert difference.low > 0 and count == VAL - 1
    assert constant_interval(runs).low > 0
    for wrong, message in (
        (lambda: paired_interval(runs, [other] * 3), "2 runs cannot be paired with 3"),
        (
            lambda: paired_interval(runs[:1], [evaluate(lvu["year"], weak, grid=SMALL)]),
            "different tasks",
        ),
        (lambda: score_interval(runs, by="shots"), "'shots'; expected one of: clips, movies"),
    ):
        with pytest.raises(ValueError, match=message):
            wrong()


def test_the_best_constant_knows_the_reported_list(lvu: LVU) -> None:
    task = lvu["director"]
    rare = [clip for clip in task.lists["val"] if clip.target != 0]
    lists = {"train": task.lists["train"], "val": rare}
    score = evaluate(replace(task, lists=lists), telling(TRAIN + VAL), grid=SMALL)
    counts = Counter(clip.target for clip in rare)
    assert score.baselines["constant"]["all"] == 0  # the commonest class of train does not occur
    assert score.baselines["best constant"]["all"] == max(counts.values()) / len(rare) > 0
    assert np.isnan(score_best_constant(np.zeros(0), "top1"))


def test_bad_vectors(lvu: LVU) -> None:
    for wrong, message in (
        (np.ones(4), r"c7 has embeddings of shape \[1, 4\]; .*of dim 5, as those of c0"),
        (np.ones((0, 5)), r"c7 has embeddings of shape \[0, 5\]"),
        (np.ones((1, 2, 5)), r"c7 has embeddings of shape \[1, 2, 5\]"),
        (np.full(5, np.nan), "c7 are not finite"),
    ):
        with pytest.raises(ValueError, match=message):
            evaluate(lvu["scene"], telling(TRAIN + VAL) | {"c7": wrong})


def test_vectors_of_files(tmp_path: Path) -> None:
    vectors = {"-a_b": np.ones((2, 3), np.float32), "c": np.zeros(3, np.float32)}
    np.savez(tmp_path / "v.npz", **vectors)
    found = read_clip_embeddings(tmp_path / "v.npz")
    assert set(found) == set(vectors) and found["-a_b"].shape == (2, 3)
    columns = dict(clip=["x", "y", "x"], vector=[[1.0, 2], [3, 4], [5, 6]])
    pq.write_table(pa.table(columns), tmp_path / "v.parquet")
    found = read_clip_embeddings(tmp_path / "v.parquet")
    assert found["x"].tolist() == [[1, 2], [5, 6]] and found["y"].tolist() == [[3, 4]]
    columns["vector"][1] = [3.0]
    pq.write_table(pa.table(columns), tmp_path / "v.parquet")
    with pytest.raises(ValueError, match="vectors of different dims"):
        read_clip_embeddings(tmp_path / "v.parquet")
    np.savez(tmp_path / "none.npz")
    with pytest.raises(ValueError, match="holds no clip"):
        read_clip_embeddings(tmp_path / "none.npz")
    scenes = group_by_clip(["tt1/a", "tt1/b", "tt1/a"], np.arange(3)[:, None])
    assert {clip: array.tolist() for clip, array in scenes.items()} == {"a": [[0], [2]], "b": [[1]]}


CONDENSED = {
    "clips.csv": "videoid,imdbid\na,tt0000001\nb,tt0000001\nc,tt0000001\nd,tt0000002\n",
    "descriptions.csv": "imdbid,videoid,description\ntt0000001,a,He explains it.\n"
    "tt0000001,b,They wait.\ntt0000001,c,He explains it.\ntt0000002,d,Alone.\n",
}


def test_a_synopsis_is_of_other_clips(tmp_path: Path) -> None:
    for name, text in CONDENSED.items():
        (tmp_path / name).write_text(text)
    clips = dict(a="tt0000001", b="tt0000001", d="tt0000002", x="tt0000001")
    assert read_synopses(tmp_path, clips) == {
        "a": "They wait.",  # nor what is said of c in the same words
        "b": "He explains it. He explains it.",
        "x": "He explains it. They wait. He explains it.",
    }
    assert read_own_descriptions(tmp_path, ["a", "x"]) == {"a": "He explains it."}


def test_words_become_vectors_with_the_products_of_their_counts() -> None:
    texts = dict(a="red boat", b="red boat red", c="!", d="boat", e="green sea", f="sea")
    texts |= dict(g="green tea", h="tea")
    found = embed_texts(texts)
    assert set(found) == set(texts) - {"c"}
    product = lambda one, other: float((found[one] @ found[other].T)[0, 0])  # noqa: E731
    assert product("a", "a") == pytest.approx(1, abs=1e-5)
    assert 0.9 < product("a", "b") < 1 and product("a", "f") == pytest.approx(0, abs=1e-5)


def test_shot_labels_are_shares_of_shots(tmp_path: Path) -> None:
    (tmp_path / "clips.csv").write_text(CONDENSED["clips.csv"])
    lines = "a/a-Scene-001.mp4 3 4\na/a-Scene-009.mp4 3\nz/z-Scene-001.mp4 1\n"
    (tmp_path / "labels.txt").write_text(lines)
    found = read_shot_labels(str(tmp_path / "labels.txt"), tmp_path)
    assert set(found) == {"a"} and found["a"].shape == (1, 150)
    assert found["a"][0, [3, 4, 5]].tolist() == [1, 0.5, 0]


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = write_lvu(tmp_path / "lvu")
    for name, noise in (("one", 0.3), ("two", 0.5), ("weak", 5.0)):
        vectors = telling(TRAIN + VAL - 2, noise)
        np.savez(tmp_path / f"{name}.npz", **vectors)
    clips = [(f"c{k}", movie(k)) for k in range(TRAIN + VAL)]
    folder = tmp_path / "condensed"
    folder.mkdir()
    texts = [f"{m},{c},clip number {int(c[1:]) % 4}{int(c[1:]) % 4}" for c, m in clips]
    (folder / "descriptions.csv").write_text("\n".join(["imdbid,videoid,description", *texts]))
    (folder / "clips.csv").write_text(
        "\n".join(["videoid,imdbid", *(f"{c},{m}" for c, m in clips)])
    )
    (tmp_path / "shots.txt").write_text(
        "\n".join(f"{c}/{c}-Scene-001.mp4 {int(c[1:]) % 4}" for c, _ in clips)
    )
    command = ["--lvu", str(root), "--tasks", "director", "view_count", "--condensed", str(folder)]
    command += ["--vectors", *(str(tmp_path / f"{name}.npz") for name in ("one", "two"))]
    command += ["--against", *[str(tmp_path / "weak.npz")] * 2, "--json", str(tmp_path / "o.json")]
    main([*command, "--movieclip", str(tmp_path / "shots.txt")])
    said = capsys.readouterr().out
    rows = [line.split(" | ") for line in said.splitlines() if line.startswith("| director")]
    assert [row[1] for row in rows[:5]] == ["ours", "theirs", LABELS, SYNOPSIS, LEAK]
    assert rows[0][2:4] == ["22/24", "60/60"] and float(rows[0][4]) > 90
    assert rows[4][2] == "24/24" and float(rows[4][4]) == 100
    assert rows[5][1] == "22/24" and float(rows[5][2]) > 0  # the paired difference
    assert "answered by the constant" in said
    written = json.loads((tmp_path / "o.json").read_text())
    assert written[0]["covered"] == 22 and len(written[0]["runs"]) == 2
    for wrong, message in (
        (["--lvu", str(root)], "give --vectors to score"),
        ([*command[:2], "--condensed", "x", "--against", "y"], "--against needs --vectors"),
        ([*command[:2], "--vectors", "nowhere.npz"], "nowhere.npz does not exist"),
        ([*command, "--report", "test"], "has no list 'test'"),
    ):
        with pytest.raises(SystemExit, match="2"):
            main(wrong)
        assert message in capsys.readouterr().err


def constants(task: LvuTask) -> float:
    """Check the scores by a reader that shares no code with the evaluation."""
    train = [one.target for one in task.lists["train"]]
    val = np.array([one.target for one in task.lists["val"]])
    if task.is_number:
        return float(np.mean((val - np.mean(train)) ** 2))
    return float(np.mean(val == max(sorted(set(train)), key=train.count)))


@pytest.mark.real_data
def test_constants_of_the_public_lists(data_root: Path) -> None:
    lvu = LVU.open(data_root / "movies/lvu_1.0")
    labels = read_shot_labels(
        str(data_root / "movies/movieclip/*_150_labels.txt*"), data_root / "movies/condensed_movies"
    )
    found = {}
    for name in ("relationship", "like_ratio"):
        score = evaluate(lvu[name], labels, grid=[1.0])
        assert score.baselines["constant"]["all"] == pytest.approx(constants(lvu[name]))
        found[name] = (int(score.covered.sum()), len(score.covered))
    assert found == {"relationship": (29, 53), "like_ratio": (64, 142)}
    wanted = [22 / 53, 61 / 205, 43 / 120, 25 / 163, 157 / 597, 41 / 174, 21 / 165, 0.5025, 4.5867]
    assert list(map(constants, lvu.tasks.values())) == pytest.approx(wanted, abs=5e-5)


@pytest.mark.real_data
def test_a_clips_own_description_tells_its_label_and_those_of_other_clips_do_not(
    data_root: Path,
) -> None:
    """Show the leak, and that the synopsis is free of it."""
    root = data_root / "movies/condensed_movies"
    task = LVU.open(data_root / "movies/lvu_1.0")["way_speaking"]
    clips = {one.clip: one.movie for one in task.all()}
    words = dict(standardize=False, grid=TEXT_GRID[:4], folds=2)
    leak = evaluate(task, embed_texts(read_own_descriptions(root, clips)), **words)
    assert leak.covered.all() and leak.score > 0.98
    told = read_synopses(root, clips)
    own = read_own_descriptions(root, clips)
    assert len(told) > 1100 and not any(own[clip] in text for clip, text in told.items())
    assert evaluate(task, embed_texts(told), **words).score < 0.45
