"""A label set as a source of image-text records, as training reads them.

The captions are the labels that hold; `label` is the class where exactly one holds, the classes
being the set's labels in order of the alphabet. `fields` says which labels do not hold, and where
the picture is from.
"""

from typing import Any

from vujax.data.records import BadSample, Record
from vujax.labels.exports import Export
from vujax.labels.pictures import with_pictures
from vujax.labels.rows import Item, items_of, labels_of


class LabelSource:
    """The items of an export that have a picture; see `vujax.data.records.Source`.

    Attributes:
      classes: the labels, in order of the alphabet.
    """

    def __init__(self, export: Export) -> None:
        """Reads no picture yet."""
        self.classes = tuple(labels_of(export.rows))
        self._items = [item for item in items_of(export.rows) if item.place.picture]
        self._pictures = with_pictures(export.catalog, self._items, export.pictures)
        self._next = 0

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: int) -> Record:
        """The record; they are read in order, since films are decoded in order."""
        if not 0 <= index < len(self):
            raise IndexError(f"item {index} of {len(self)}")
        if index != self._next:
            raise BadSample(f"item {index} was asked for after {self._next - 1}: read in order")
        item, data = next(self._pictures)
        self._next += 1
        return Record(
            key=item.place.id.replace("/", "_"),
            image=data,
            captions=list(item.holds),
            label=self.classes.index(item.holds[0]) if len(item.holds) == 1 else None,
            fields=facts(item),
        )


def facts(item: Item) -> dict[str, Any]:
    """What is known of an item beside its picture and captions."""
    place = item.place
    return dict(
        id=place.id,
        film=place.film,
        level=place.level,
        labels=list(item.holds),
        not_labels=list(item.fails),
        begin_s=place.begin_s,
        end_s=place.end_s,
        pts=place.pts,
        title=item.film.title,
        scores=item.scores,
    )
