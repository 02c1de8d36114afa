"""Similar shots and scenes: queries, results, films left out, the command and its page."""

import dataclasses
import shutil
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests.encoders.stub import Stub, catalogue
from tests.encoders.test_levels import divide, outcomes
from tests.html import Elements, widths
from tests.pipeline.ingest.films import film as make_film
from tests.pipeline.ingest.films import run as run_ingest
from vujax import cli
from vujax.catalog import Catalog, embeddings, scenes
from vujax.search import filmstrips
from vujax.search import similar_page as page
from vujax.search.locate import locate_item, parse_time
from vujax.search.similar import find_similar
from vujax.video.timecode import Clock

HOSTILE = "</title><script>alert(1)</script>"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build three films of three shots of 20 to 30 frames at 24 frames/s, two with scenes."""
    root = catalogue(tmp_path_factory.mktemp("similar"), 3)
    divide(root, 0, [(0, 1), (2, 2)])
    divide(root, 1, [(0, 0), (1, 2)])
    outcomes(root, Stub, "shot")
    outcomes(root, Stub, "scene")
    return root


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "catalog"))


def test_all_cosines_sorted(root: Path) -> None:
    catalog = Catalog(root)
    table = catalog.embeddings("shot", "stub")
    rows = embeddings.to_matrix(table).astype(np.float64)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    ids = table["id"].to_pylist()
    found = find_similar(catalog, ids[4], top=100, per_film=100)
    cosines = unit @ unit[4]
    order = [i for i in np.argsort(-cosines, kind="stable").tolist() if i != 4]
    assert sorted(one.id for one in found.items) == sorted(ids[:4] + ids[5:])
    np.testing.assert_allclose([one.score for one in found.items], cosines[order], atol=1e-6)
    assert (found.query.id, found.compared, found.films) == (ids[4], 8, 3)
    shot = next(row for row in catalog.shots().to_pylist() if row["id"] == found.items[0].id)
    assert (found.items[0].start_s, found.items[0].end_s) == (shot["begin_s"], shot["end_s"])
    assert found.query.timecode == "00:00:00:21"  # film1 has 21 frames before it
    assert found.left_out == ()


def test_no_film_takes_all_and_the_own_one_may_be_left_out(root: Path) -> None:
    catalog, film = Catalog(root), Catalog(root).film_ids()[0]
    found = find_similar(catalog, f"{film}/s0", per_film=1)
    assert sorted(one.film for one in found.items) == catalog.film_ids()
    others = find_similar(catalog, f"{film}/s0", other_films=True)
    assert (others.compared, others.films) == (6, 2)
    assert film not in {one.film for one in others.items}
    assert len(find_similar(catalog, f"{film}/s0", top=2).items) == 2


def test_scenes_and_films_without(root: Path) -> None:
    catalog = Catalog(root)
    one, two, three = catalog.film_ids()
    found = find_similar(catalog, f"{one}/c001")
    assert sorted(piece.id for piece in found.items) == [
        f"{one}/c000",
        f"{two}/c000",
        f"{two}/c001",
    ]
    assert {piece.id: (piece.first_shot, piece.last_shot) for piece in found.items}[
        f"{two}/c001"
    ] == (1, 2)
    ((film, reason),) = found.left_out
    assert film == three and "run `vujax scenes`" in reason
    divide(root, 1, [(0, 1), (2, 2)])
    assert [film for film, _ in find_similar(catalog, f"{one}/c001").left_out] == [two, three]
    with pytest.raises(ValueError, match="former version of the film's scenes; run `vujax embed"):
        find_similar(catalog, f"{two}/c001")
    with pytest.raises(FileNotFoundError, match="run `vujax scenes`"):
        find_similar(catalog, f"{three}/c000")


def test_where_a_query_is(root: Path) -> None:
    catalog = Catalog(root)
    film = catalog.film_ids()[0]  # cuts at frames 20 and 50, over after 64
    at = lambda time, level=None: str(locate_item(catalog, f"{film}@{time}", level))  # noqa: E731
    assert at("0:00") == at("00:00:00:19") == f"{film}/s0000"
    assert at("00:00.84") == at("00:00:00:20") == f"{film}/s0001"
    assert at("00:00:02.6") == f"{film}/s0002"
    assert at("00:00:02.6", "scene") == f"{film}/c001"
    assert at("0:01", "scene") == f"{film}/c000"
    assert str(locate_item(catalog, f"{film}/s1")) == f"{film}/s0001"
    with pytest.raises(ValueError, match=f"{film} ends at 0:00:03, before 0:03"):
        at("0:03")


@pytest.mark.parametrize(
    ("time", "seconds"),
    [
        ("1:02", 62),
        ("90:00", None),
        ("1:30:00", 5400),
        ("0:00:59.5", 59.5),
        ("00:00:01:12", 1.5),
        ("00:00:01:24", None),
        ("12", None),
        ("1:60", None),
        ("-1:00", None),
        ("", None),
        ("1:00:00:00:00", None),
    ],
)
def test_times(time: str, seconds: float | None) -> None:
    clock = Clock(Fraction(1, 1000), rate=Fraction(24))
    if seconds is None:
        with pytest.raises(ValueError, match=r"not a time; write MM:SS|names no frame"):
            parse_time(time, clock)
    else:
        assert parse_time(time, clock) == seconds


def test_timecodes_count_from_the_source_timecode_of_the_first_picture() -> None:
    clock = Clock(Fraction(1, 1000), rate=Fraction(25), first_s=Fraction(1, 2))
    assert parse_time("00:00:01:05", clock) == 1.7
    assert parse_time("10:00:01:05", clock.with_timecode("10:00:00:00")) == 1.7
    assert parse_time("00:00:00:00", clock.with_timecode("23:59:59:00")) == 1.5


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("FILM/s0009", "has no shot .*/s0009; the film has 3"),
        ("FILM/c009", "has no scene .*/c009; the film has 2"),
        ("other/s0000", "has no film other"),
        ("../x/s0", "is not an id"),
        ("../x@0:01", "is not an id"),
        ("FILM", "is not a shot or scene; write FILM/s0012"),
        ("FILM/s0000/1", "is not a shot or scene"),
        ("FILM@noon", "'noon' is not a time"),
    ],
)
def test_no_such_query(root: Path, query: str, why: str) -> None:
    film = Catalog(root).film_ids()[0]
    with pytest.raises((KeyError, ValueError), match=why):
        find_similar(Catalog(root), query.replace("FILM", film))


def test_films_go_by_name(root: Path) -> None:
    catalog = Catalog(root)
    film = catalog.film_ids()[0]
    for name in (film, "film0", "film0.mp4"):
        assert str(locate_item(catalog, f"{name}/s1")) == f"{film}/s0001"
        assert str(locate_item(catalog, f"{name}@0:01")) == f"{film}/s0001"
        assert str(locate_item(catalog, f"{name}/c0")) == f"{film}/c000"
    with pytest.raises(KeyError, match=rf"has no film film9; the nearest ids are .*{film}"):
        locate_item(catalog, "film9/s0")


def test_a_name_of_several_films_is_not_guessed(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        make_film(tmp_path / "in" / folder / "film.mp4", (30, 12))
    run_ingest(tmp_path / "in", tmp_path / "catalog")
    catalog = Catalog(tmp_path / "catalog")
    with pytest.raises(ValueError, match=r"several films are named film\.mp4: a-film-"):
        locate_item(catalog, "film.mp4/s0")
    assert locate_item(catalog, "a/film.mp4/s1").film == catalog.film_ids()[0]


def test_whose_vectors(root: Path) -> None:
    catalog, film = Catalog(root), Catalog(root).film_ids()[0]
    with pytest.raises(FileNotFoundError, match="no shot embeddings of other; compute them with"):
        find_similar(catalog, f"{film}/s0", encoder="other")
    outcomes(root, lambda: Stub(name="second"), "shot")
    with pytest.raises(ValueError, match=r"2 models \(second-\w{8}, stub-\w{8}\); choose one"):
        find_similar(catalog, f"{film}/s0")
    assert find_similar(catalog, f"{film}/s0", encoder="second").encoder.startswith("second-")
    name = find_similar(catalog, f"{film}/s0", encoder="stub").encoder
    assert find_similar(catalog, f"{film}/s0", encoder=name).encoder == name
    shutil.rmtree(root / "vectors" / "shot")
    with pytest.raises(FileNotFoundError, match=r"no shot embeddings; compute .*lite"):
        find_similar(catalog, f"{film}/s0")
    with pytest.raises(ValueError, match="is a shot, not a scene"):
        find_similar(catalog, f"{film}/s0", level="scene")


def test_the_command_and_its_page(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    film, out = Catalog(root).film_ids()[0], tmp_path / "page.html"
    words = ["similar", str(root), f"{film}@0:01", "--out", str(out)]
    assert cli.main(words) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["cosine", "start", "end", "shot", "film"]
    assert lines[1].split() == ["00:00:00:20", "00:00:02:02", f"{film}/s0001", "film0.mp4"]
    assert len(lines) == 2 + 8 + 2
    encoder = find_similar(Catalog(root), f"{film}/s1").encoder
    assert lines[-2:] == [
        f"compared with 8 shots of 3 films, embeddings of {encoder}",
        str(out),
    ]
    found = Elements(out.read_text("utf-8"))
    pictures = [a["src"] for tag, a in found.tags if tag == "img"]
    assert len(pictures) == 9 * 3 and all(s.startswith("data:image/jpeg;") for s in pictures)
    assert all(f"{one}/s0000" in found.text for one in Catalog(root).film_ids())
    assert cli.main([*words, "--level", "scene", "--top", "1"]) == 0
    captured = capsys.readouterr()
    assert f"{film}/c000" in captured.out.splitlines()[1]
    assert "left out: film2-" in captured.err
    found = Elements(out.read_text("utf-8"))
    assert sum(tag == "img" for tag, _ in found.tags) == 2 + len(found.of("article")[1:])
    assert "Films that were left out have no current embeddings" in found.text


def test_a_long_list_has_fewer_pictures(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filmstrips, "MAX_THUMBNAILS", 9)
    catalog = Catalog(root)
    found = find_similar(catalog, f"{catalog.film_ids()[0]}/s0")
    text = page.write_page(catalog, found, tmp_path / "p.html").read_text("utf-8")
    assert text.count("<img") == 9


def test_no_title_becomes_markup(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = Catalog.films

    def titled(self: Catalog, film: str | None = None) -> object:
        table = plain(self, film)
        return table.append_column("title", [[HOSTILE] * len(table)])

    monkeypatch.setattr(Catalog, "films", titled)
    catalog = Catalog(root)
    found = find_similar(catalog, f"{catalog.film_ids()[0]}/s0")
    elements = Elements(page.write_page(catalog, found, tmp_path / "p.html").read_text("utf-8"))
    assert elements.text.count(HOSTILE) == 2 + 1 + 8  # title, heading, query and results
    assert "script" not in {tag for tag, _ in elements.tags}
    policy = next(a["content"] for _, a in elements.tags if a.get("http-equiv"))
    assert "default-src 'none'" in policy and "script-src" not in policy


@pytest.mark.browser
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("piece", ["s0", "c0"])
def test_a_browser_shows_it_without_scrolling_sideways(
    root: Path, tmp_path: Path, width: int, piece: str
) -> None:
    catalog = Catalog(root)
    found = find_similar(catalog, f"{catalog.film_ids()[0]}/{piece}")
    found = dataclasses.replace(found, query=dataclasses.replace(found.query, title="Name" * 40))
    seen, window = widths(page.write_page(catalog, found, tmp_path / "p.html"), width)
    assert seen <= window


def test_a_shot_without_keyframes_is_no_query(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    catalog = Catalog(root)
    film, plain = catalog.film_ids()[0], Catalog.embeddings
    monkeypatch.setattr(Catalog, "embeddings", lambda *given: plain(*given).slice(1))
    with pytest.raises(ValueError, match="s0000 has no keyframe and therefore no embedding"):
        find_similar(catalog, f"{film}/s0")
    assert scenes.scenes_path(root, film).exists()


@pytest.mark.parametrize("query", ["s0", "c1"])
def test_a_backend_finds_what_reading_film_by_film_finds(root: Path, query: str) -> None:
    catalog = Catalog(root)
    film = catalog.film_ids()[0]
    for options in (dict(), dict(per_film=1), dict(other_films=True), dict(top=2)):
        exact = find_similar(catalog, f"{film}/{query}", **options)
        indexed = find_similar(catalog, f"{film}/{query}", backend="exact", **options)
        scores = [[item.score for item in result.items] for result in (exact, indexed)]
        np.testing.assert_allclose(scores[0], scores[1], atol=1e-6)
        assert {item.id for item in indexed.items} == {item.id for item in exact.items}
        assert (indexed.query, indexed.compared) == (exact.query, exact.compared)
        assert [f for f, _ in indexed.left_out] == [f for f, _ in exact.left_out]
