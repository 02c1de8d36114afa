"""Captions as WebVTT, Parquet, CSV or JSON lines."""

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


def check(out: Path) -> None:
    """Raises unless the name's end is one of SUFFIXES.

    Raises:
      ValueError: it is not.
    """
    if out.suffix not in SUFFIXES:
        raise ValueError(f"--out {out} must end in one of {', '.join(SUFFIXES)}")


def write(tables: dict[str, pa.Table], out: Path) -> list[Path]:
    """Writes the captions of some films; each file appears whole or not at all.

    Args:
      tables: by film, columns of `captioner.COLUMNS`.
      out: the file; WebVTT is of one film, so that those of several films are written into a folder
        of that name without its end, a file each, named by the film's id.

    Returns:
      What was written.

    Raises:
      ValueError: no film, or an unknown kind of file.
    """
    check(out)
    if not tables:
        raise ValueError("there are no captions to write")
    if out.suffix == ".vtt":
        several = {out.with_suffix("") / f"{film}.vtt": table for film, table in tables.items()}
        files = several if len(tables) > 1 else {out: next(iter(tables.values()))}
        return [write_text(path, vtt(table)) for path, table in files.items()]
    table = pa.concat_tables(tables.values())
    if out.suffix == ".jsonl":
        rows = map(_plain, table.to_pylist())
        return [write_atomically(out, lambda path: write_json_lines(path, rows))]
    return [write_table(out, [table], table.schema)]


def vtt(table: pa.Table) -> str:
    """One film's captions as WebVTT (W3C); what lasts no time, or has no caption, is left out.

    Letters that mean something there are written as entities, so that no caption can end a cue,
    begin another or be a tag.
    """
    rows = table.to_pylist()
    # An arrow ends the header, whatever comes after it.
    title = join_lines(rows[0]["title"] if rows else "").replace("-->", "->")
    cues = [f"WEBVTT Captions of {title}".rstrip()]
    for row in rows:
        begin, end = format_clock_ms(row["begin_s"]), format_clock_ms(row["end_s"])
        if row["caption"] and begin < end:
            text = html.escape(join_lines(row["caption"]), quote=False)
            cues.append(f"{join_lines(row['id'])}\n{begin} --> {end}\n{text}")
    return "\n\n".join(cues) + "\n"


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if value is not None}
