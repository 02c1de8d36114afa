"""FiftyOne: a directory of the type FiftyOneImageClassificationDataset, several labels per image.

    fiftyone.Dataset.from_dir(FOLDER, fiftyone.types.FiftyOneImageClassificationDataset)

Negative labels are in `not_labels` of `items.json`, which FiftyOne does not read.
"""

import json
from pathlib import Path
from typing import Any

from vujax.annotate.labels.exports.base import LabelExport, LabelFormat
from vujax.annotate.labels.exports.images import describe_missing_images, write_images
from vujax.annotate.labels.exports.records import describe_item
from vujax.annotate.labels.rows import LabeledItem
from vujax.utils.io import write_folder_atomically


def write(export: LabelExport, out: Path) -> list[str]:
    """Write the directory."""
    notes: list[str] = []

    def fill(folder: Path) -> None:
        labels, items = {}, {}
        for labeled, name, _ in write_images(export, folder / "data"):
            key = Path(name).stem
            labels[key], items[key] = _labels(labeled), describe_item(labeled)
        notes.extend(describe_missing_images(export, len(labels)))
        for name, contents in (
            ("labels.json", dict(classes=None, labels=labels)),
            ("items.json", items),
        ):
            text = json.dumps(contents, ensure_ascii=False, indent=1)
            (folder / name).write_text(text, encoding="utf-8")

    write_folder_atomically(out, fill)
    negatives = sum(not row.is_positive for row in export.rows)
    if negatives:
        labels = f"negative label{'s' * (negatives != 1)}"
        notes.append(f"{negatives} {labels} only in items.json: FiftyOne does not read them")
    return notes


def _labels(labeled: LabeledItem) -> list[dict[str, Any]]:
    """Return labels by name (classes is null); none for a reviewed image without positives."""
    return [
        dict(label=label, attributes=dict(id=labeled.item.id, score=labeled.scores.get(label)))
        for label in labeled.positives
    ]


FORMAT = LabelFormat("", write, images="keyframes", negatives=False)
