"""COCO: `annotations.json` and `images/`, a box around the full image for each positive label.

COCO annotates objects in boxes and has no labels of images, so the box covers the image. Negative
labels are in `neg_category_ids` of their images, as in LVIS.
"""

import json
from pathlib import Path
from typing import Any

from vujax.annotate.labels.exports.base import LabelExport, LabelFormat
from vujax.annotate.labels.exports.images import describe_missing_images, write_images
from vujax.annotate.labels.rows import LabeledItem, list_labels
from vujax.utils.io import write_folder_atomically


def write(export: LabelExport, out: Path) -> list[str]:
    """Write the directory."""
    numbers = {label: number for number, label in enumerate(list_labels(export.rows), 1)}
    notes: list[str] = []

    def fill(folder: Path) -> None:
        images, annotations = [], []
        for labeled, name, (width, height) in write_images(export, folder / "images"):
            images.append(_image(labeled, name, (width, height), len(images) + 1, numbers))
            for label in labeled.positives:
                annotations.append(
                    dict(
                        id=len(annotations) + 1,
                        image_id=len(images),
                        category_id=numbers[label],
                        bbox=[0, 0, width, height],
                        area=width * height,
                        segmentation=[[0, 0, width, 0, width, height, 0, height]],
                        iscrowd=0,
                        score=labeled.scores.get(label),
                    )
                )
        notes.extend(describe_missing_images(export, len(images)))
        contents = dict(
            info=dict(description=f"vujax label set {export.name}", version="1.0"),
            licenses=[],
            images=images,
            annotations=annotations,
            categories=[
                dict(id=number, name=label, supercategory="") for label, number in numbers.items()
            ],
        )
        text = json.dumps(contents, ensure_ascii=False, indent=1)
        (folder / "annotations.json").write_text(text, encoding="utf-8")

    write_folder_atomically(out, fill)
    return notes


def _image(
    labeled: LabeledItem, name: str, size: tuple[int, int], number: int, numbers: dict[str, int]
) -> dict[str, Any]:
    item = labeled.item
    return dict(
        id=number,
        file_name=name,
        width=size[0],
        height=size[1],
        neg_category_ids=[numbers[label] for label in labeled.negatives],
        vujax_id=item.id,
        begin_s=item.begin_s,
        end_s=item.end_s,
    )


FORMAT = LabelFormat("", write, images="keyframes")
