"""The names of ImageNet's 1,000 classes, in the order of the labels (source and licence beside)."""

import csv
from pathlib import Path
from typing import NamedTuple

TABLE = Path(__file__).parent / "classes" / "imagenet1k.tsv"


class ClassName(NamedTuple):
    """One class.

    Attributes:
      wnid: its WordNet 3.0 id, such as n01440764.
      name: one short English name.
      synonyms: WordNet's, the first one first.
    """

    wnid: str
    name: str
    synonyms: tuple[str, ...]


def class_names() -> list[ClassName]:
    """All classes of ILSVRC 2012: entry k has label k."""
    with TABLE.open(newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        return [ClassName(r["wnid"], r["name"], tuple(r["synonyms"].split(", "))) for r in rows]
