"""From labels to items: containment, times, unknown labels, contradictions."""

from pathlib import Path

import numpy as np
import pytest

from tests.encoders.stub import catalogue
from vujax.annotate.tagging.labels import LabelRecord, TimeSpan
from vujax.annotate.tagging.resolve import FilmItems, ResolvedLabels, resolve_labels
from vujax.catalog import Catalog, Id, embeddings, scenes


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    """Three films of three shots, about 0.9, 1.25 and 0.6 s; the first has two scenes."""
    found = Catalog(catalogue(tmp_path_factory.mktemp("films"), 3))
    film = found.film_ids()[0]
    rows = [
        dict(film=film, scene=k, id=f"{film}/c00{k}", first_shot=first, last_shot=last)
        | dict(begin_s=begin, end_s=end)
        for k, (first, last, begin, end) in enumerate([(0, 1, 0.0, 2.0), (2, 2, 2.0, 3.0)])
    ]
    scenes.write_scenes(found.path, film, embeddings.hash_source(found.manifest(film)), rows, {})
    return found


def label(of: Id | TimeSpan, holds: bool = True, name: str = "kiss", line: int = 2) -> LabelRecord:
    return LabelRecord(f"labels.csv, line {line}", name, holds, of)


def of_film(said: ResolvedLabels, film: str) -> list[list[str]]:
    """By tag: + holds, - does not, ? not known."""
    place = [items.film for items in said.films].index(film)
    signs = np.where(said.known[place], np.where(said.truth[place], "+", "-"), "?")
    return ["".join(column) for column in signs.T]


def test_wholes_and_their_parts(catalog: Catalog) -> None:
    a, b, c = catalog.film_ids()
    labels = [
        label(Id(a, scene=0), name="car"),
        label(Id(a, shot=1)),
        label(Id(b), name="car"),
        label(Id(b, shot=0), name="car", holds=False),
    ]
    for rows in (labels, labels[::-1]):
        said = resolve_labels(catalog, "shot", rows)
        assert said.tags == ("car", "kiss")
        assert [items.film for items in said.films] == [a, b]
        assert of_film(said, a) == ["++-", "-+-"]
        assert of_film(said, b) == ["-++", "---"]
    frames = resolve_labels(catalog, "frame", labels)
    assert of_film(frames, a) == ["+" * 6 + "-" * 3, "-" * 3 + "+" * 3 + "-" * 3]
    assert of_film(resolve_labels(catalog, "shot", labels, [c]), c) == ["---", "---"]


def test_only_what_is_said_is_known_of_films_that_are_not_reviewed(catalog: Catalog) -> None:
    a, b, _ = catalog.film_ids()
    labels = [label(Id(a, shot=0)), label(Id(a, shot=2), holds=False), label(Id(b, shot=1))]
    assert of_film(resolve_labels(catalog, "shot", labels, []), a) == ["+?-"]
    said = resolve_labels(catalog, "shot", labels, [b])
    assert (of_film(said, a), of_film(said, b)) == (["+?-"], ["-+-"])


def test_the_middle_of_an_item_decides(catalog: Catalog) -> None:
    a = catalog.film_ids()[0]
    path = catalog.films(a)["path"][0].as_py()
    begin, end = (catalog.shots(a)[name].to_pylist() for name in ("begin_s", "end_s"))
    middle = (begin[1] + end[1]) / 2
    for video in (a, path, Path(path).name):
        said = resolve_labels(
            catalog, "shot", [label(TimeSpan(video, middle - 0.01, middle + 0.01))]
        )
        assert of_film(said, a) == ["-+-"]
    assert of_film(resolve_labels(catalog, "shot", [label(TimeSpan(a, 0, 99))]), a) == ["+++"]
    said = resolve_labels(catalog, "shot", [label(TimeSpan(a, 0, middle)), label(Id(a, shot=2))])
    assert of_film(said, a) == ["+-+"]
    moment = catalog.keyframes(a)["seconds"][4].as_py()
    said = resolve_labels(catalog, "frame", [label(TimeSpan(a, moment, moment))])
    assert of_film(said, a) == ["----+----"]


def test_what_is_too_fine_or_holds_nothing_is_counted(catalog: Catalog) -> None:
    a = catalog.film_ids()[0]
    end = catalog.shots(a)["end_s"][0].as_py()
    labels = [
        label(Id(a, shot=0)),
        label(Id(a, shot=1, keyframe=0)),
        label(Id(a, shot=2, keyframe=0)),
        label(TimeSpan(a, end - 0.01, end)),
    ]
    said = resolve_labels(catalog, "shot", labels)
    assert of_film(said, a) == ["+--"]
    assert said.notes == (
        "left out 2 rows: it labels a frame, which is smaller than the shots to tag",
        "left out 1 row: it contains the middle of no shot",
    )
    with pytest.raises(ValueError, match=r"no label of any shot in .* left out 1 row: it"):
        resolve_labels(catalog, "shot", labels[1:2], [])


def test_contradictions_name_both_lines(catalog: Catalog) -> None:
    a = catalog.film_ids()[0]
    labels = [label(Id(a, shot=1)), label(Id(a, shot=1), holds=False, line=7)]
    with pytest.raises(
        ValueError, match=r"line 7: 'kiss' is negative for .*/s0001, but positive in"
    ):
        resolve_labels(catalog, "shot", labels)
    assert of_film(resolve_labels(catalog, "shot", [labels[0]] * 2), a) == ["-+-"]


@pytest.mark.parametrize(
    ("of", "error", "why"),
    [
        (lambda a: Id("other"), KeyError, "line 2: .* has no film other"),
        (lambda a: Id(a, shot=3), KeyError, "line 2: .* has no shot .*/s0003"),
        (lambda a: Id(a, shot=0, keyframe=9), KeyError, "line 2: .* has no frame .*/s0000/9"),
        (lambda a: Id(a, scene=2), KeyError, "line 2: .* has no scene .*/c002"),
        (lambda a: Id("film0.mp4", shot=0), KeyError, "has no film film0.mp4"),
        (lambda a: TimeSpan("film9.mp4", 0, 1), KeyError, "has no film film9.mp4"),
        (
            lambda a: TimeSpan(a, 70, 90),
            ValueError,
            "the start 70 s is after the end of film0-.* at 2",
        ),
    ],
)
def test_what_is_not_in_the_catalogue(
    catalog: Catalog, of: object, error: type[Exception], why: str
) -> None:
    with pytest.raises(error, match=why):
        resolve_labels(catalog, "shot", [label(of(catalog.film_ids()[0]))])


def test_other_mistakes(catalog: Catalog) -> None:
    a, b, _ = catalog.film_ids()
    with pytest.raises(KeyError, match="no film other, which is listed as reviewed"):
        resolve_labels(catalog, "shot", [label(Id(a))], ["other"])
    with pytest.raises(ValueError, match="unknown level 'minute'"):
        resolve_labels(catalog, "minute", [label(Id(a))])
    with pytest.raises(FileNotFoundError, match="run `vujax scenes`"):
        resolve_labels(catalog, "shot", [label(Id(b, scene=0))])


def test_rounded_seconds_do_not_move_an_item() -> None:
    items = FilmItems("f", "shot", ("f/s0000",), np.array([[0.0, 2 / 3]]))
    assert items.inside(0.333333333, 1).all() and items.inside(0.333334, 1).all()
    assert not items.inside(0.4, 1).any() and not items.inside(0, 0.333).any()
