"""The label sets of a catalog: files by name, authors, counts, and new decisions about items."""

import getpass
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from vujax.annotate.labels.entry import Decision
from vujax.annotate.labels.items import CatalogItems
from vujax.annotate.labels.log import LabelLog
from vujax.catalog.embeddings import NAME

FOLDER = "labels"
SUFFIX = ".jsonl"


class LabelCounts(NamedTuple):
    """Numbers of items labeled positive and negative."""

    positive: int
    negative: int


def check_name(name: object) -> str:
    """Return `name` if it is a valid name of a label set.

    Raises:
      ValueError: it has characters other than letters, digits, - and _, or is too long.
    """
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise ValueError(
            f"invalid name of a label set {str(name)[:60]!r}; use at most 48 letters, digits, - "
            "and _"
        )
    return name


def label_set_path(root: Path, name: str) -> Path:
    """Return the path of a label set, which need not exist.

    Raises:
      ValueError: the name is invalid.
    """
    return Path(root) / FOLDER / f"{check_name(name)}{SUFFIX}"


def list_label_sets(root: Path) -> list[str]:
    """Return the sorted names of the existing label sets."""
    files = (Path(root) / FOLDER).glob(f"*{SUFFIX}")
    return sorted(file.stem for file in files if NAME.fullmatch(file.stem) and file.is_file())


def find_label_set(root: Path, name: str) -> Path:
    """Return the path of an existing label set.

    Raises:
      FileNotFoundError: there is no such set.
      ValueError: the name is invalid.
    """
    file = label_set_path(root, name)
    if not file.is_file():
        names = ", ".join(list_label_sets(root)) or "none"
        raise FileNotFoundError(f"{root} has no label set {name}; existing label sets: {names}")
    return file


def resolve_author(name: str | None) -> str:
    """Return the given name, or else that of the user who runs the program."""
    try:
        return name or getpass.getuser()
    except (KeyError, OSError, ImportError):  # a user without a name, as in containers
        return "unknown"


def count_labels(log: LabelLog) -> dict[str, LabelCounts]:
    """Return the counts of each label, in order of the first use of the labels."""
    counts: dict[str, list[int]] = {}
    for entry in sorted(log.state().values(), key=lambda entry: entry.sequence):
        signs = counts.setdefault(entry.decision.label, [0, 0])
        if entry.decision.value:
            signs[entry.decision.value < 0] += 1
    return {
        label: LabelCounts(positive, negative) for label, (positive, negative) in counts.items()
    }


def build_decisions(
    contents: CatalogItems,
    ids: Sequence[str],
    label: str,
    value: int,
    *,
    scores: Sequence[float | None] | None = None,
    source: str = "page",
    query: str | None = None,
    model: str | None = None,
) -> list[Decision]:
    """Build one decision for each id, with the hash of the current item.

    Args:
      contents: items of the catalog.
      ids: ids of the items.
      label: name of the label.
      value: 1, -1 or 0.
      scores: scores of the items, in order of `ids`.
      source: origin of the decisions, see `Decision`.
      query: search query of the decisions, see `Decision`.
      model: hash of the model behind the scores, see `Decision`.

    Raises:
      KeyError: there is no such item.
      ValueError: an id, the label or the value is invalid.
    """
    decisions = []
    for item_id, score in zip(ids, scores or [None] * len(ids), strict=True):
        item = contents.find(item_id)
        decisions.append(
            Decision(
                item_id,
                label,
                value,
                source=source,
                query=query,
                score=score,
                model=model,
                made_from=contents.read_film(item.film).hash_item(item),
            )
        )
    return decisions
