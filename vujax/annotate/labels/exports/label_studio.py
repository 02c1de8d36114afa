"""Label Studio: `tasks.json`, `config.xml` and `images/`.

Two sets of choices: `present`, the positive labels, and `absent`, the negative ones. Paths of
images are those of local storage (LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED=true and
LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT set to the parent of the exported directory).
"""

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

from vujax.annotate.labels.exports.base import LabelExport, LabelFormat
from vujax.annotate.labels.exports.images import describe_missing_images, write_images
from vujax.annotate.labels.exports.records import describe_item
from vujax.annotate.labels.rows import LabeledItem, list_labels
from vujax.utils.io import write_folder_atomically

CHOICES = {"present": "positives", "absent": "negatives"}
"""Names of the choices, and the attributes of `LabeledItem` with their labels."""


def write(export: LabelExport, out: Path) -> list[str]:
    """Write the directory."""
    notes: list[str] = []

    def fill(folder: Path) -> None:
        tasks = [
            _task(labeled, f"{out.name}/images/{name}")
            for labeled, name, _ in write_images(export, folder / "images")
        ]
        notes.extend(describe_missing_images(export, len(tasks)))
        text = json.dumps(tasks, ensure_ascii=False, indent=1)
        (folder / "tasks.json").write_text(text, encoding="utf-8")
        (folder / "config.xml").write_text(_config(list_labels(export.rows)), encoding="utf-8")

    write_folder_atomically(out, fill)
    return notes


def _task(labeled: LabeledItem, path: str) -> dict[str, Any]:
    results = [
        {
            "from_name": name,
            "to_name": "image",
            "type": "choices",
            "value": {"choices": list(getattr(labeled, attribute))},
        }
        for name, attribute in CHOICES.items()
        if getattr(labeled, attribute)
    ]
    image = f"/data/local-files/?d={quote(path)}"
    return dict(
        data=dict(image=image, **describe_item(labeled)), annotations=[dict(result=results)]
    )


def _config(labels: list[str]) -> str:
    view = ElementTree.Element("View")
    ElementTree.SubElement(view, "Image", name="image", value="$image")
    for name in CHOICES:
        ElementTree.SubElement(view, "Header", value=name.capitalize())
        choices = ElementTree.SubElement(
            view, "Choices", name=name, toName="image", choice="multiple", required="false"
        )
        for label in labels:
            ElementTree.SubElement(choices, "Choice", value=label)
    ElementTree.indent(view)
    return ElementTree.tostring(view, encoding="unicode")


FORMAT = LabelFormat("", write, images="keyframes")
