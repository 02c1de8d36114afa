"""The scenes page: contents, escaping, and limits of its size."""

import base64
import io
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.encoders.stub import catalogue
from tests.html import Elements, widths
from tests.scenes.results import HOSTILE, result
from vujax.catalog import Catalog
from vujax.scenes import page, page_charts
from vujax.scenes.page import write_page
from vujax.scenes.types import BreakCue, DetectedScenes


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    return Catalog(catalogue(tmp_path_factory.mktemp("page"), 1))


def of_catalogue(catalog: Catalog, **options: object) -> DetectedScenes:
    """Return two scenes of the catalog's film."""
    (film,) = catalog.film_ids()
    made = result(shots=(20, 30, 14), boundaries=(1,), rate=Fraction(24), **options)
    cues = (BreakCue(2, made.scenes[1].start_s, "00:00:02:02", -63.2, True, False),)
    return replace(made, film=film, cues=cues, notes=("A note.",), timings_s={"shots": 1.25})


def page_of(catalog: Catalog, scenes: DetectedScenes, path: Path, files: tuple = ()) -> str:
    vectors = np.eye(len(scenes.boundaries_s) + 1, 8, dtype=np.float32)
    return write_page(catalog, scenes, vectors, path, files).read_text("utf-8")


def test_scenes_pictures_and_breaks_are_shown(catalog: Catalog, tmp_path: Path) -> None:
    found = Elements(page_of(catalog, of_catalogue(catalog), tmp_path / "p.html", ("a b.csv",)))
    assert [a["id"] for a in found.of("article")] == ["scene-1", "scene-2"]
    pictures = [a["src"] for a in found.of("img") if "jpeg" in a["src"]]
    assert len(pictures) == 3
    widths = [float(a["style"].removeprefix("width:")[:-1]) for a in found.of("li") if "style" in a]
    assert widths == pytest.approx([100 * 50 / 64, 100 * 14 / 64], abs=0.01)
    (dot,) = found.of("a", "begin")
    assert dot["style"] == "left:78.125%;bottom:90.00%"
    assert "00:00:02:02" in dot["title"]
    assert len(found.of("rect")) == 2
    assert "-63 dB" in found.text
    assert "shots 1.2 s" in found.text
    assert [a["href"] for a in found.of("a") if "csv" in a["href"]] == ["./a%20b.csv"]


def test_no_text_becomes_markup(catalog: Catalog, tmp_path: Path) -> None:
    scenes = of_catalogue(catalog, title=HOSTILE, path=f"/films/{HOSTILE}.mp4")
    scenes = replace(scenes, reason=HOSTILE, notes=(HOSTILE,))
    found = Elements(page_of(catalog, scenes, tmp_path / "p.html"))
    assert not {tag for tag, _ in found.tags} & {"script", "link", "iframe"}
    assert all(not key.startswith("on") for _, attributes in found.tags for key in attributes)
    assert found.text.count("<script>alert('x')</script>") >= 4
    policy = next(a["content"] for _, a in found.tags if a.get("http-equiv"))
    assert "default-src 'none'" in policy
    assert "script-src" not in policy


def test_many_scenes_and_shots_are_capped(catalog: Catalog, tmp_path: Path) -> None:
    shots = 20_000
    scenes = result(shots=(2,) * shots, boundaries=range(9, shots - 1, 10))
    scenes = replace(scenes, film=catalog.film_ids()[0], cues=())
    vectors = np.random.default_rng(0).normal(size=(shots, 16)).astype(np.float32)
    path = write_page(catalog, scenes, vectors, tmp_path / "p.html")
    assert path.stat().st_size < 3 << 20
    found = Elements(path.read_text("utf-8"))
    assert len(found.of("article")) == page.MAX_SCENES
    assert "The first 400 of 2,000 scenes." in found.text
    assert "A pixel is the mean over about 33.3 shots in each direction" in found.text
    assert "the curve shows local maxima" in found.text


def test_every_shot_a_scene(catalog: Catalog, tmp_path: Path) -> None:
    shots = 20_000
    scenes = result(shots=(2,) * shots, boundaries=range(shots - 1))
    cues = tuple(BreakCue(s.number, s.start_s, "", None, False, True) for s in scenes.scenes[1:])
    scenes = replace(scenes, film=catalog.film_ids()[0], cues=cues)
    vectors = np.random.default_rng(0).normal(size=(shots, 16)).astype(np.float32)
    path = write_page(catalog, scenes, vectors, tmp_path / "p.html", ("scenes.mp4",))
    assert path.stat().st_size < 3 << 20
    found = Elements(path.read_text("utf-8"))
    widths = [float(a["style"].removeprefix("width:")[:-1]) for a in found.of("li") if "style" in a]
    assert len(widths) <= page_charts.MAX_BLOCKS
    assert sum(widths) == pytest.approx(100, abs=0.1)
    assert len(found.of("a", "break")) == len(found.of("a", "begin")) == page_charts.MAX_DOTS
    places = {f"#{a['id']}" for _, a in found.tags if "id" in a}
    links = {a["href"] for a in found.of("a") if a.get("href", "").startswith("#")}
    assert links <= places


def test_times_open_the_film_beside_the_page(catalog: Catalog, tmp_path: Path) -> None:
    scenes = of_catalogue(catalog)
    for name, address in (
        ("a b.mp4", "./a%20b.mp4"),
        ("a.WEBM", "./a.WEBM"),
        ("a.mkv", None),
        ("a-Scene-001.mp4", None),
    ):
        found = Elements(page_of(catalog, scenes, tmp_path / "p.html", ("a.csv", name)))
        times = [a["href"] for a in found.of("a") if "#t=" in a.get("href", "")]
        starts = [0.0, 0.0, 20 / 24, 50 / 24, 50 / 24]  # two scenes and three shots
        wanted = [f"{address}#t={seconds:.3f}" for seconds in starts] if address else []
        assert sorted(times) == wanted
    assert "0:00.8" in found.text  # when the second shot starts


def test_breaks_are_marked_on_the_timeline(catalog: Catalog, tmp_path: Path) -> None:
    found = Elements(page_of(catalog, of_catalogue(catalog), tmp_path / "p.html"))
    (mark,) = found.of("a", "break")
    assert mark["style"] == "left:78.125%"
    assert mark["title"] == "Break cue: 0:02.1, silent"
    assert mark["href"] == "#breaks"
    assert [a for a in found.of("section") if a.get("id") == "breaks"]


def test_a_film_of_one_shot(catalog: Catalog, tmp_path: Path) -> None:
    scenes = replace(result(shots=(9,), boundaries=()), film=catalog.film_ids()[0])
    found = Elements(page_of(catalog, scenes, tmp_path / "p.html"))
    assert "it is one scene" in found.text
    assert not found.of("rect")


def test_a_pixel_is_the_mean_of_its_cosines() -> None:
    vectors = np.random.default_rng(0).normal(size=(12, 5)).astype(np.float32)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    whole = unit @ unit.T
    means = whole.reshape(4, 3, 4, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(page_charts.pairwise_cosines(vectors, 4), means, atol=1e-6)
    np.testing.assert_allclose(page_charts.pairwise_cosines(vectors), whole, atol=1e-6)


def test_the_picture_is_bright_where_shots_are_alike() -> None:
    scenes = result(shots=(5,) * 6, boundaries=(2,))
    vectors = np.repeat(np.eye(2, dtype=np.float32), 3, axis=0)
    found = Elements(page_charts.similarity_section(scenes, vectors))
    data = base64.b64decode(found.of("img")[0]["src"].partition(",")[2])
    picture = np.asarray(Image.open(io.BytesIO(data)).convert("L")).astype(int)
    assert picture[:3, :3].min() > picture[:3, 3:].max() + 100


def test_peaks_of_a_long_curve_stay() -> None:
    y = np.zeros(50_000)
    y[31_337] = 1
    x, kept = page_charts.downsample_peaks(np.arange(50_000), y)
    assert (len(x), kept.max(), int(x[kept.argmax()])) == (page_charts.MAX_POINTS, 1, 31_337)


@pytest.mark.browser
@pytest.mark.parametrize("width", [390, 1280])
def test_a_browser_shows_it_without_scrolling_sideways(
    catalog: Catalog, tmp_path: Path, width: int
) -> None:
    path = tmp_path / "p.html"
    page_of(catalog, of_catalogue(catalog, title="Name" * 40), path)
    seen, window = widths(path, width)
    assert seen <= window
