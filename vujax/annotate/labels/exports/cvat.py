"""CVAT for images 1.1: `annotations.xml` and `images/`, a tag for each label that holds.

A picture that was looked at and has no such label is there without a tag.
"""

from pathlib import Path
from xml.etree import ElementTree

from vujax.annotate.labels.exports.base import Export, LabelFormat
from vujax.annotate.labels.exports.images import skipped, write_images
from vujax.annotate.labels.rows import labels_of
from vujax.utils.formatting import quote_unprintable
from vujax.utils.io import write_folder_atomically


def write(export: Export, out: Path) -> list[str]:
    """Writes the folder."""
    notes: list[str] = []

    def fill(folder: Path) -> None:
        images = []
        for item, name, (width, height) in write_images(export, folder / "images"):
            facts = dict(id=str(len(images)), name=name, width=str(width), height=str(height))
            image = ElementTree.Element("image", facts)
            for label in item.holds:
                ElementTree.SubElement(image, "tag", label=label, source="manual")
            images.append(image)
        notes.extend(skipped(export, len(images)))
        root = ElementTree.Element("annotations")
        ElementTree.SubElement(root, "version").text = "1.1"
        root.append(_meta(export.name, labels_of(export.rows), len(images)))
        root.extend(images)
        ElementTree.indent(root)
        path = folder / "annotations.xml"
        ElementTree.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)

    write_folder_atomically(out, fill)
    fails = sum(not row.holds for row in export.rows)
    if fails:
        notes.append(
            f"{fails} label{'s' * (fails != 1)} that do not hold: CVAT has no place for them"
        )
    return notes


def _meta(name: str, labels: list[str], images: int) -> ElementTree.Element:
    meta = ElementTree.Element("meta")
    task = ElementTree.SubElement(meta, "task")
    for key, value in dict(
        name=quote_unprintable(name), size=str(images), mode="annotation"
    ).items():
        ElementTree.SubElement(task, key).text = value
    group = ElementTree.SubElement(task, "labels")
    for label in labels:
        one = ElementTree.SubElement(group, "label")
        ElementTree.SubElement(one, "name").text = label
        ElementTree.SubElement(one, "type").text = "tag"
        ElementTree.SubElement(one, "attributes")
    return meta


FORMAT = LabelFormat("", write, pictures="keyframes")
