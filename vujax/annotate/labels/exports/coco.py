"""COCO: `annotations.json` and `images/`, a box around the whole picture for each label that holds.

COCO knows objects in boxes and no labels of whole pictures, so the box is the picture's. Labels
that do not hold are in `neg_category_ids` of their picture, as LVIS has it.
"""

import json
from pathlib import Path
from typing import Any

from vujax.annotate.labels.exports.base import Export, LabelFormat
from vujax.annotate.labels.exports.images import skipped, write_images
from vujax.annotate.labels.rows import Item, labels_of
from vujax.utils.io import write_folder_atomically


def write(export: Export, out: Path) -> list[str]:
    """Writes the folder."""
    numbers = {label: number for number, label in enumerate(labels_of(export.rows), 1)}
    notes: list[str] = []

    def fill(folder: Path) -> None:
        images, annotations = [], []
        for item, name, (width, height) in write_images(export, folder / "images"):
            images.append(_image(item, name, (width, height), len(images) + 1, numbers))
            for label in item.holds:
                annotations.append(
                    dict(
                        id=len(annotations) + 1,
                        image_id=len(images),
                        category_id=numbers[label],
                        bbox=[0, 0, width, height],
                        area=width * height,
                        segmentation=[[0, 0, width, 0, width, height, 0, height]],
                        iscrowd=0,
                        score=item.scores.get(label),
                    )
                )
        notes.extend(skipped(export, len(images)))
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
    item: Item, name: str, size: tuple[int, int], number: int, numbers: dict[str, int]
) -> dict[str, Any]:
    place = item.place
    return dict(
        id=number,
        file_name=name,
        width=size[0],
        height=size[1],
        neg_category_ids=[numbers[label] for label in item.fails],
        vujax_id=place.id,
        begin_s=place.begin_s,
        end_s=place.end_s,
    )


FORMAT = LabelFormat("", write, pictures="keyframes")
