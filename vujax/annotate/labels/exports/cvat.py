"""CVAT for images 1.1: `annotations.xml` and `images/`, a tag for each positive label.

A reviewed image without positive labels is listed without tags.
"""

from pathlib import Path
from xml.etree import ElementTree

from vujax.annotate.labels.exports.base import LabelExport, LabelFormat
from vujax.annotate.labels.exports.images import describe_missing_images, write_images
from vujax.annotate.labels.rows import list_labels
from vujax.utils.formatting import quote_unprintable
from vujax.utils.io import write_folder_atomically


def write(export: LabelExport, out: Path) -> list[str]:
    """Write the directory."""
    notes: list[str] = []

    def fill(folder: Path) -> None:
        images = []
        for labeled, name, (width, height) in write_images(export, folder / "images"):
            size = dict(width=str(width), height=str(height))
            image = ElementTree.Element("image", dict(id=str(len(images)), name=name, **size))
            for label in labeled.positives:
                ElementTree.SubElement(image, "tag", label=label, source="manual")
            images.append(image)
        notes.extend(describe_missing_images(export, len(images)))
        root = ElementTree.Element("annotations")
        ElementTree.SubElement(root, "version").text = "1.1"
        root.append(_meta(export.name, list_labels(export.rows), len(images)))
        root.extend(images)
        ElementTree.indent(root)
        path = folder / "annotations.xml"
        ElementTree.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)

    write_folder_atomically(out, fill)
    negatives = sum(not row.is_positive for row in export.rows)
    if negatives:
        labels = f"negative label{'s' * (negatives != 1)}"
        notes.append(f"left out {negatives} {labels}: CVAT has no negative labels")
    return notes


def _meta(name: str, labels: list[str], num_images: int) -> ElementTree.Element:
    meta = ElementTree.Element("meta")
    task = ElementTree.SubElement(meta, "task")
    for key, value in dict(
        name=quote_unprintable(name), size=str(num_images), mode="annotation"
    ).items():
        ElementTree.SubElement(task, key).text = value
    group = ElementTree.SubElement(task, "labels")
    for label in labels:
        entry = ElementTree.SubElement(group, "label")
        ElementTree.SubElement(entry, "name").text = label
        ElementTree.SubElement(entry, "type").text = "tag"
        ElementTree.SubElement(entry, "attributes")
    return meta


FORMAT = LabelFormat("", write, images="keyframes", negatives=False)
