"""Label Studio: `tasks.json`, `config.xml` and `images/`.

Two sets of choices: `present`, labels that hold, and `absent`, those that do not. Pictures are
named as Label Studio's local storage serves them (LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED=true and
LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT set to the folder that this one lies in).
"""

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

from vujax.annotate.labels.exports.base import Export, LabelFormat
from vujax.annotate.labels.exports.images import skipped, write_images
from vujax.annotate.labels.exports.records import facts
from vujax.annotate.labels.rows import Item, labels_of
from vujax.utils.io import write_folder_atomically

CHOICES = {"present": "holds", "absent": "fails"}
"""Name of the choices, and which labels of an item they are."""


def write(export: Export, out: Path) -> list[str]:
    """Writes the folder."""
    notes: list[str] = []

    def fill(folder: Path) -> None:
        tasks = [
            _task(item, f"{out.name}/images/{name}")
            for item, name, _ in write_images(export, folder / "images")
        ]
        notes.extend(skipped(export, len(tasks)))
        text = json.dumps(tasks, ensure_ascii=False, indent=1)
        (folder / "tasks.json").write_text(text, encoding="utf-8")
        (folder / "config.xml").write_text(_config(labels_of(export.rows)), encoding="utf-8")

    write_folder_atomically(out, fill)
    return notes


def _task(item: Item, path: str) -> dict[str, Any]:
    found = [
        {
            "from_name": name,
            "to_name": "image",
            "type": "choices",
            "value": {"choices": list(getattr(item, part))},
        }
        for name, part in CHOICES.items()
        if getattr(item, part)
    ]
    image = f"/data/local-files/?d={quote(path)}"
    return dict(data=dict(image=image, **facts(item)), annotations=[dict(result=found)])


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


FORMAT = LabelFormat("", write, pictures="keyframes")
