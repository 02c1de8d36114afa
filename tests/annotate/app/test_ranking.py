"""Rankings against plain arithmetic, groups against a loop, estimates against counts."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.annotate.app.serving import ColorSpace, embedded_catalog, stub_session
from vujax.annotate.app import items as module
from vujax.annotate.app import ranking
from vujax.annotate.app.ranking import estimate_precision
from vujax.annotate.app.requests import LabelRequest, QueryTerm, SearchRequest, ThresholdRequest
from vujax.annotate.app.session import CurationSession
from vujax.evals.metrics.bootstrap import wilson_interval
from vujax.search.query import FRAME_TEMPLATES

NONE: dict = {}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return embedded_catalog(tmp_path_factory.mktemp("ranking"))


@pytest.fixture
def work(made: Path) -> CurationSession:
    for file in (made / "labels").glob("*"):
        file.unlink()
    return stub_session(made)


def ids(work: CurationSession, found: dict, level: str = "shot") -> list[str]:
    return [work.item_set(level).ids[row] for row in found["rows"]]


def test_words(work: CurationSession) -> None:
    shots = work.item_set("shot")
    terms = (QueryTerm("red", 2.0), QueryTerm("blue", -1.0))
    found = ranking.rank_items(SearchRequest("shot", "a", terms=terms), shots, NONE, NONE)
    space = ColorSpace()
    red, blue = (
        v / np.linalg.norm(v)
        for v in (
            space.encode_texts([w.replace("{}", text) for w in FRAME_TEMPLATES]).mean(0)
            for text in ("red", "blue")
        )
    )
    wanted = shots.index.vectors @ (2 * red - blue) / 3
    np.testing.assert_allclose(found.scores, np.sort(wanted)[::-1], atol=1e-5)
    np.testing.assert_allclose(wanted[found.rows], found.scores, atol=1e-5)


def test_examples_and_their_mix_with_words(work: CurationSession) -> None:
    shots = work.item_set("shot")
    like, unlike = (shots.ids[0],), (shots.ids[1], shots.ids[5])
    learned = ranking.rank_items(
        SearchRequest("shot", "a", like=like, unlike=unlike), shots, NONE, NONE
    )
    x = shots.index.vectors
    linear = ranking.fit_classifier(x[[0]], x[[1, 5]], shots.center)
    scores = x @ linear.weights + linear.bias
    np.testing.assert_allclose(learned.scores, np.sort(scores)[::-1], atol=1e-5)
    assert learned.rows[0] == 0
    terms = (QueryTerm("green", 1.0),)
    words = ranking.rank_items(SearchRequest("shot", "a", terms=terms), shots, NONE, NONE)
    both = ranking.rank_items(
        SearchRequest("shot", "a", terms=terms, like=like, unlike=unlike), shots, NONE, NONE
    )
    plain = np.empty(len(shots))
    plain[words.rows] = words.scores

    def standard(v: np.ndarray) -> np.ndarray:
        return (v - v.mean()) / v.std()

    trust = 3 / (3 + ranking.HALF_WEIGHT_EXAMPLES)
    wanted = (1 - trust) * standard(plain) + trust * standard(scores)
    np.testing.assert_allclose(both.scores, wanted[both.rows], atol=1e-4)


def test_examples_without_a_contrast_are_told_from_the_rest(work: CurationSession) -> None:
    shots = work.item_set("shot")
    found = ranking.rank_items(SearchRequest("shot", "a", like=(shots.ids[4],)), shots, NONE, NONE)
    assert found.notes[0].startswith("No negative examples yet: 8 random items")
    assert {shots.ids[row].rpartition("/")[2] for row in found.rows[:3]} == {"s0001"}


def test_labels_teach_and_filter(work: CurationSession) -> None:
    shots = work.item_set("shot")
    values = {shots.ids[2]: 1, shots.ids[0]: -1}
    found = ranking.rank_items(
        SearchRequest("shot", "a", label="x", learn=True), shots, values, NONE
    )
    assert {shots.ids[row].rpartition("/")[2] for row in found.rows[:3]} == {"s0002"}
    for status, rows in (("yes", [2]), ("no", [0]), ("open", [1, 3, 4, 5, 6, 7, 8])):
        kept = ranking.rank_items(
            SearchRequest("shot", "a", label="x", status=status), shots, values, NONE
        )
        assert kept.rows.tolist() == rows
        assert kept.scores is None


def test_where_is_of_columns_and_metadata(work: CurationSession) -> None:
    shots = work.item_set("shot")
    found = ranking.rank_items(SearchRequest("shot", "a", where="duration > 1"), shots, NONE, NONE)
    durations = shots.index.column("duration").to_numpy()
    assert found.rows.tolist() == np.nonzero(durations > 1)[0].tolist()
    assert "path" in ranking.list_filter_columns(shots)
    assert "keyframe" not in ranking.list_filter_columns(shots)  # shots have none


def test_a_taggers_file(made: Path) -> None:
    plain = stub_session(made)
    shots = plain.item_set("shot")
    work = stub_session(made, tags={"x": {shots.ids[3]: 0.9, shots.ids[1]: 0.4, "gone/s0001": 1.0}})
    found = work.search(SearchRequest("shot", "a", label="x", tags=True))
    assert ids(work, found) == [shots.ids[3], shots.ids[1]]
    assert found["scores"] == pytest.approx([0.9, 0.4])
    with pytest.raises(ValueError, match="has no scores of this label"):
        work.search(SearchRequest("shot", "a", label="y", tags=True))


def test_doubts_are_contradictions(work: CurationSession) -> None:
    frames = work.item_set("frame")
    shot = frames.index.rows["shot"].to_numpy()
    values = {item: 1 if shot[row] == 2 else -1 for row, item in enumerate(frames.ids)}
    ask = SearchRequest("frame", "a", label="x", status="doubt")
    assert not len(ranking.rank_items(ask, frames, values, NONE).rows)
    wrong = next(row for row in range(len(frames)) if shot[row] == 0)
    values[frames.ids[wrong]] = 1
    found = ranking.rank_items(ask, frames, values, NONE)
    assert found.rows.tolist()[0] == wrong
    with pytest.raises(ValueError, match="doubtful labels need both"):
        ranking.rank_items(ask, frames, {frames.ids[0]: 1}, NONE)


@pytest.mark.parametrize("name", ["frame", "shot"])
def test_groups_as_a_loop_finds_them(
    name: str, work: CurationSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK_ROWS", 3)
    found = work.item_set(name)
    x, rows = found.index.vectors, found.index.rows.to_pylist()
    number = list(range(len(rows)))
    for i in range(len(rows)):
        for j in range(i + 1, min(i + 1 + module.MAX_DISTANCE, len(rows))):
            same = rows[i]["film"] == rows[j]["film"]
            shot = name == "frame" and rows[i]["shot"] == rows[j]["shot"]
            if same and (shot or x[i] @ x[j] >= module.MIN_SIMILARITY):
                number = [number[i] if n == number[j] else n for n in number]
    pairs = set(zip(number, found.groups.tolist(), strict=True))
    assert len(pairs) == len(set(number)) == len(set(found.groups.tolist()))
    assert len(set(number)) < len(rows) or name == "shot"


def test_a_fold_shows_the_best_of_each(work: CurationSession) -> None:
    frames = work.item_set("frame")
    found = ranking.rank_items(
        SearchRequest("frame", "a", terms=(QueryTerm("red", 1.0),)), frames, NONE, NONE
    )
    places, more = ranking.fold_duplicates(found, frames)
    groups = frames.groups[found.rows]
    seen: dict[int, list[int]] = {}
    for place, group in enumerate(groups.tolist()):
        seen.setdefault(group, []).append(place)
    assert places.tolist() == [mine[0] for mine in seen.values()]
    assert more.tolist() == [len(mine) - 1 for mine in seen.values()]


def test_precision_of_what_was_reviewed_and_of_a_sample(work: CurationSession) -> None:
    ask = SearchRequest("shot", "a", terms=(QueryTerm("red", 1.0),))
    found = work.search(ask)
    items = ids(work, found)
    for item, value in zip(items[:4], (1, 1, 1, -1), strict=True):
        work.add_labels(LabelRequest("a", "red", value, (item,), (0.5,), "", "red", False))
    for count in (3, 4, 9):  # the first three are alike
        threshold = found["scores"][count - 1]
        said = work.estimate_precision(ThresholdRequest(ask, "red", threshold, 1, ()))["reviewed"]
        reviewed = min(count, 4)
        right = min(count, 3)
        wanted = wilson_interval(right, reviewed)
        assert (said["right"], said["reviewed"]) == (right, reviewed)
        assert (said["estimate"], said["low"], said["high"]) == wanted
    drawn = work.draw_sample(ThresholdRequest(ask, "red", found["scores"][4], 50, ()))
    assert sorted(drawn["rows"]) == sorted(found["rows"][:5])
    said = work.estimate_precision(ThresholdRequest(ask, "red", 0.0, 1, tuple(drawn["rows"])))[
        "sample"
    ]
    assert (said["right"], said["reviewed"], said["items"]) == (3, 4, 5)
    nothing = estimate_precision([0, 0])
    assert (nothing.estimate, nothing.reviewed, nothing.items) == (None, 0, 2)


def test_labels_move_the_estimate_and_the_ranking(work: CurationSession) -> None:
    """Rankings are kept, but not beyond what they depend on."""
    shots = work.item_set("shot")
    work.add_labels(LabelRequest("a", "x", 1, (shots.ids[0],), (None,), "", "", False))
    ask = SearchRequest("shot", "a", label="x", learn=True)
    before = work.search(ask)
    work.add_labels(LabelRequest("a", "x", -1, (shots.ids[3],), (None,), "", "", False))
    after = work.search(ask)
    assert before["scores"] != after["scores"]
    # What is asked of a ranking later is of that one, also when it has to be made again.
    for _ in range(2):
        said = work.estimate_precision(
            ThresholdRequest(replace(ask, at=before["at"]), "x", before["scores"][3], 1, ())
        )
        assert said["reviewed"]["items"] == 4
        assert work.search(replace(ask, at=before["at"])) == before
        work._rankings.clear()


def test_no_texts_for_these_vectors(made: Path) -> None:
    work = stub_session(made, text_search_error="text search is not available: no space")
    with pytest.raises(ValueError, match="text search is not available"):
        work.search(SearchRequest("shot", "a", terms=(QueryTerm("red", 1.0),)))
    assert work.search(SearchRequest("shot", "a"))["items"] == 9
