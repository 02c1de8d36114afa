"""Decisions about items of a catalogue, with what each item is made from."""

from collections.abc import Sequence

from vujax.labels.entry import Decision
from vujax.labels.places import Places


def decisions(
    places: Places,
    ids: Sequence[str],
    label: str,
    value: int,
    *,
    scores: Sequence[float | None] | None = None,
    **about: str | None,
) -> list[Decision]:
    """One decision for each id.

    Args:
      places: of the catalogue.
      ids: of the items.
      label: it.
      value: 1, -1 or 0.
      scores: of the items, in their order.
      **about: `source`, `query` and `model`, see `Decision`.

    Raises:
      KeyError: there is no such item.
      ValueError: an id, the label or the value cannot be one.
    """
    found = []
    for item, score in zip(ids, scores or [None] * len(ids), strict=True):
        place = places.find(item)
        made_from = places.film(place.film).made_from(place)
        found.append(Decision(item, label, value, score=score, made_from=made_from, **about))
    return found
