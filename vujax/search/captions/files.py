"""Caption files: WebVTT, Parquet, CSV and JSON lines."""

import html
from pathlib import Path
from typing import Any

import pyarrow as pa

from vujax.utils.formatting import format_clock_ms, join_lines
from vujax.utils.io import (
    TABLE_SUFFIXES,
    write_atomically,
    write_json_lines,
    write_table,
    write_text,
)

SUFFIXES = (".vtt", *TABLE_SUFFIXES)


def check_suffix(out: Path) -> None:
    """Check that a file name ends in one of SUFFIXES.

    Raises:
      ValueError: it does not.
    """
    if out.suffix not in SUFFIXES:
        raise ValueError(f"--out {out} must end in one of {', '.join(SUFFIXES)}")


def write_captions(tables: dict[str, pa.Table], out: Path) -> list[Path]:
    """Write the captions of films atomically.

    Args:
      tables: tables of `captioners.CAPTIONS` by film.
      out: output file. A WebVTT file holds one film; those of several films go into the folder
        `out` without its suffix, one file per film id.

    Returns:
      The written files.

    Raises:
      ValueError: there is no film, or the suffix is unknown.
    """
    check_suffix(out)
    if not tables:
        raise ValueError("there are no captions to write")
    if out.suffix == ".vtt":
        several = {out.with_suffix("") / f"{film}.vtt": table for film, table in tables.items()}
        files = several if len(tables) > 1 else {out: next(iter(tables.values()))}
        return [write_text(path, to_vtt(table)) for path, table in files.items()]
    table = pa.concat_tables(tables.values())
    if out.suffix == ".jsonl":
        rows = map(_drop_nulls, table.to_pylist())
        return [write_atomically(out, lambda path: write_json_lines(path, rows))]
    return [write_table(out, [table], table.schema)]


def to_vtt(table: pa.Table) -> str:
    """Return the captions of one film as WebVTT (W3C), without empty captions and durations.

    Special characters become entities, so that no caption can end a cue, start one or be a tag.
    """
    rows = table.to_pylist()
    # An arrow would end the header.
    title = join_lines(rows[0]["title"] if rows else "").replace("-->", "->")
    cues = [f"WEBVTT Captions of {title}".rstrip()]
    for row in rows:
        start, end = format_clock_ms(row["begin_s"]), format_clock_ms(row["end_s"])
        if row["caption"] and start < end:
            text = html.escape(join_lines(row["caption"]), quote=False)
            cues.append(f"{join_lines(row['id'])}\n{start} --> {end}\n{text}")
    return "\n\n".join(cues) + "\n"


def _drop_nulls(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if value is not None}
