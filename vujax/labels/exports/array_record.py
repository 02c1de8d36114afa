"""ArrayRecord: what training here reads (`--config.data.sources.main.path=FOLDER`)."""

from pathlib import Path

from vujax.data.convert import convert
from vujax.labels.exports import Export, write_folder
from vujax.labels.exports.images import skipped
from vujax.labels.exports.records import LabelSource


def write_array_record(export: Export, out: Path) -> list[str]:
    """Writes the folder."""
    source = LabelSource(export)
    origin = dict(kind="vujax labels", set=export.name, pictures=export.pictures)
    write_folder(out, lambda folder: _fill_array_record(source, folder, origin))
    return skipped(export, len(source))


def _fill_array_record(source: LabelSource, folder: Path, origin: dict[str, str]) -> None:
    convert(source, folder, origin=origin, max_bad=0.0)
