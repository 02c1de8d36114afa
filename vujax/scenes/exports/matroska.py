"""scenes.chapters.xml: Matroska chapters, for `mkvmerge --chapters` and MKVToolNix."""

from pathlib import Path
from xml.etree import ElementTree as ET

from vujax.scenes.exports.base import SceneExport
from vujax.scenes.parts import Chapter, list_chapters_from_zero
from vujax.scenes.types import DetectedScenes
from vujax.utils.io import write_text

HEADER = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE Chapters SYSTEM "matroskachapters.dtd">\n'
)
LANGUAGE = "und"
NANOSECONDS = 10**9


def write(scenes: DetectedScenes, path: Path) -> list[str]:
    """Write the file atomically."""
    root = ET.Element("Chapters")
    edition = ET.SubElement(root, "EditionEntry")
    for chapter in list_chapters_from_zero(scenes):
        _add_chapter(edition, chapter)
    ET.indent(root)
    write_text(path, HEADER + ET.tostring(root, encoding="unicode") + "\n")
    return []


def _add_chapter(edition: ET.Element, chapter: Chapter) -> None:
    atom = ET.SubElement(edition, "ChapterAtom")
    ET.SubElement(atom, "ChapterTimeStart").text = format_time(chapter.start_s)
    ET.SubElement(atom, "ChapterTimeEnd").text = format_time(chapter.end_s)
    display = ET.SubElement(atom, "ChapterDisplay")
    ET.SubElement(display, "ChapterString").text = chapter.title
    ET.SubElement(display, "ChapterLanguage").text = LANGUAGE


def format_time(seconds: float) -> str:
    """Return a time as 'HH:MM:SS.nnnnnnnnn'."""
    whole, rest = divmod(round(seconds * NANOSECONDS), NANOSECONDS)
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}.{rest:09d}"


EXPORT = SceneExport(suffix=".chapters.xml", write=write)
