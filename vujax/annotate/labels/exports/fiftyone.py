"""FiftyOne: a folder of its type FiftyOneImageClassificationDataset, several labels a picture.

    fiftyone.Dataset.from_dir(FOLDER, fiftyone.types.FiftyOneImageClassificationDataset)

Labels that do not hold are in `not_labels` of `items.json`, which FiftyOne does not read.
"""

import json
from pathlib import Path
from typing import Any

from vujax.annotate.labels.exports.base import Export, LabelFormat
from vujax.annotate.labels.exports.images import skipped, write_images
from vujax.annotate.labels.exports.records import facts
from vujax.annotate.labels.rows import Item
from vujax.utils.io import write_folder_atomically


def write(export: Export, out: Path) -> list[str]:
    """Writes the folder."""
    notes: list[str] = []

    def fill(folder: Path) -> None:
        labels, items = {}, {}
        for item, name, _ in write_images(export, folder / "data"):
            key = Path(name).stem
            labels[key], items[key] = _labels(item), facts(item)
        notes.extend(skipped(export, len(labels)))
        for name, contents in (
            ("labels.json", dict(classes=None, labels=labels)),
            ("items.json", items),
        ):
            text = json.dumps(contents, ensure_ascii=False, indent=1)
            (folder / name).write_text(text, encoding="utf-8")

    write_folder_atomically(out, fill)
    return notes


def _labels(item: Item) -> list[dict[str, Any]]:
    """Labels by name (classes is null); none for a picture that was looked at in vain."""
    return [
        dict(label=label, attributes=dict(id=item.place.id, score=item.scores.get(label)))
        for label in item.holds
    ]


FORMAT = LabelFormat("", write, pictures="keyframes")
