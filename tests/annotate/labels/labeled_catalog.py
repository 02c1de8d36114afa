"""Catalog with scenes and a label set, for tests."""

from pathlib import Path

from tests.encoders.stub import catalogue
from vujax.annotate.labels import sets
from vujax.annotate.labels.entry import Decision
from vujax.annotate.labels.items import CatalogItems
from vujax.annotate.labels.log import LabelLog
from vujax.catalog import Catalog, embeddings, scenes

HOSTILE = "<b>&\"'; </script><script>alert(1)</script> é 船"


def labeled_catalog(folder: Path) -> tuple[CatalogItems, LabelLog]:
    """Build two films of three shots, and a set with labels of frames, shots and a scene."""
    root = catalogue(folder)
    catalog = Catalog(root)
    add_scenes(catalog)
    contents = CatalogItems(catalog)
    log = LabelLog(sets.label_set_path(root, "boats"))
    one, two = catalog.film_ids()
    given = [
        (f"{one}/s0000/1", "boat", 1, 0.5),
        (f"{one}/s0001/0", "boat", -1, 0.25),
        (f"{one}/s0001/0", HOSTILE, 1, None),
        (f"{two}/s0002/1", "boat", 1, None),
        (f"{two}/s0002/1", HOSTILE, 1, 0.125),
        (f"{two}/s0001", "boat", 1, None),
        (f"{two}/c001", "lake", -1, None),
        (f"{two}/s0000", "boat", 0, None),
    ]
    decisions = [
        Decision(
            item, label, value, query="a boat", score=score, made_from=_made_from(contents, item)
        )
        for item, label, value, score in given
    ]
    log.append(decisions, author="ann")
    return contents, log


def add_scenes(catalog: Catalog) -> None:
    """Add two scenes per film: its first two shots, and the third."""
    for film in catalog.film_ids():
        shots = catalog.shots(film).to_pylist()
        spans = [(0, 1), (2, 2)]
        rows = [
            dict(
                film=film,
                scene=number,
                id=f"{film}/c{number:03d}",
                first_shot=first,
                last_shot=last,
                begin_pts=shots[first]["begin_pts"],
                end_pts=shots[last]["end_pts"],
                begin_s=shots[first]["begin_s"],
                end_s=shots[last]["end_s"],
            )
            for number, (first, last) in enumerate(spans)
        ]
        scenes.write_scenes(
            catalog.path, film, embeddings.hash_source(catalog.manifest(film)), rows, {}
        )


def _made_from(contents: CatalogItems, item: str) -> str:
    found = contents.find(item)
    return contents.read_film(found.film).hash_item(found)
