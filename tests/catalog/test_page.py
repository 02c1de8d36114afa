"""The page of a catalog: complete, without scripts, and small."""

import re
from pathlib import Path

import pytest

from tests.html import Elements
from tests.pipeline.ingest.films import Cuts, film
from vujax.catalog import Catalog, schema
from vujax.catalog import page as catalog_page
from vujax.catalog.page import write_page
from vujax.pipeline.ingest.detectors import share_detector
from vujax.pipeline.ingest.film import IngestJob, IngestStage
from vujax.pipeline.ingest.settings import IngestSettings
from vujax.pipeline.sources import find_films
from vujax.utils.formatting import format_clock, format_short_clock

HOSTILE = "</title><script>alert(1)</script><img src=x onerror=alert(2)>\" onload='x"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    film(folder / "in" / '<b>bold</b> & "q".mp4', (20, 30, 40))
    film(folder / "in" / "second.mp4", (20, 30))
    (folder / "in" / "<i>bad\n.mp4").write_text("no film")
    quoted = HOSTILE.replace('"', '""')
    (folder / "m.csv").write_text(f'path,title,synopsis\nsecond.mp4,"{quoted}","{quoted}"\n')
    schema.create_catalog(folder / "out")
    work = IngestJob(
        folder / "out", IngestSettings(), lambda: share_detector(Cuts), folder / "m.csv"
    )
    ingest = IngestStage(work)
    for source in find_films([folder / "in"]).sources:
        ingest(source)
    return folder / "out"


def test_every_shot_of_every_film_is_shown(root: Path, tmp_path: Path) -> None:
    page = write_page(Catalog(root), tmp_path / "p.html").read_text("utf-8")
    found = Elements(page)
    pictures = [a["src"] for tag, a in found.tags if tag == "img"]
    assert len(pictures) == 5
    assert all(src.startswith("data:image/jpeg;base64,") for src in pictures)
    tips = [a["title"] for tag, a in found.tags if tag == "li"]
    assert sum("frames 20 to 49" in tip for tip in tips) == 2
    assert "starts with a cut, score 0.75" in tips[1]
    assert "00:00:00:20" in tips[1]
    assert "cannot be read as a film" in found.text


def test_no_text_becomes_markup(root: Path, tmp_path: Path) -> None:
    page = write_page(Catalog(root), tmp_path / "p.html").read_text("utf-8")
    found = Elements(page)
    tags = {tag for tag, _ in found.tags}
    assert not tags & {"script", "b>", "link", "iframe"}
    assert all(not key.startswith("on") for _, attributes in found.tags for key in attributes)
    assert all(a["src"].startswith("data:") for tag, a in found.tags if tag == "img")
    assert found.text.count(HOSTILE) == 3  # the heading, and both columns
    assert "'<i>bad\\n.mp4'" in found.text
    policy = next(a["content"] for _, a in found.tags if a.get("http-equiv"))
    assert "default-src 'none'" in policy
    assert "script-src" not in policy


def test_one_film_alone(root: Path, tmp_path: Path) -> None:
    (film,) = (film for film in Catalog(root).film_ids() if film.startswith("second"))
    page = write_page(Catalog(root), tmp_path / "p.html", [film]).read_text("utf-8")
    assert page.count("<img") == 2
    with pytest.raises(KeyError, match="no film other"):
        write_page(Catalog(root), tmp_path / "q.html", ["other"])
    assert not (tmp_path / "q.html").exists()


def test_many_shots_are_thinned(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog_page, "MAX_THUMBNAILS", 3)
    page = write_page(Catalog(root), tmp_path / "p.html").read_text("utf-8")
    assert page.count("<img") == 3
    assert "One shot in 2 is shown" in page


def luminance(color: str) -> float:
    """Relative luminance of '#rrggbb' (WCAG 2.2)."""
    channels = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_transitions_are_readable_in_both_schemes(root: Path, tmp_path: Path) -> None:
    page = write_page(Catalog(root), tmp_path / "page.html").read_text()
    rule = re.search(r"\.shots i {.*?background: var\((.*?)\); color: var\((.*?)\)", page, re.S)
    assert rule
    schemes = [dict(re.findall(r"(--\w+): (#\w{6})", part)) for part in page.split("@media")[:2]]
    for scheme in schemes:
        low, high = sorted(luminance(scheme[name]) for name in rule.groups())
        assert (high + 0.05) / (low + 0.05) >= 4.5


def test_clocks() -> None:
    assert format_clock(3725.4) == "1:02:05"
    assert [format_short_clock(t) for t in (0, 59.96, 3661.25, -0.5)] == [
        "0:00.0",
        "1:00.0",
        "1:01:01.2",
        "-0:00.5",
    ]
