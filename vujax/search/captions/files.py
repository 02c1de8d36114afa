"""Captions as WebVTT, Parquet, CSV or JSON lines."""

import html
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from vujax.utils.formatting import clock_ms, one_line
from vujax.utils.io import csv_rows, json_lines, write_atomically

SUFFIXES = (".vtt", ".parquet", ".csv", ".jsonl")


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
        return [_write_text(path, vtt(table)) for path, table in files.items()]
    table = pa.concat_tables(tables.values())
    writers = {".parquet": _write_parquet, ".csv": _write_csv, ".jsonl": _write_jsonl}
    return [write_atomically(out, lambda path: writers[out.suffix](table, path))]


def vtt(table: pa.Table) -> str:
    """One film's captions as WebVTT (W3C); what lasts no time, or has no caption, is left out.

    Letters that mean something there are written as entities, so that no caption can end a cue,
    begin another or be a tag.
    """
    rows = table.to_pylist()
    # An arrow ends the header, whatever comes after it.
    title = one_line(rows[0]["title"] if rows else "").replace("-->", "->")
    cues = [f"WEBVTT Captions of {title}".rstrip()]
    for row in rows:
        begin, end = clock_ms(row["begin_s"]), clock_ms(row["end_s"])
        if row["caption"] and begin < end:
            text = html.escape(one_line(row["caption"]), quote=False)
            cues.append(f"{one_line(row['id'])}\n{begin} --> {end}\n{text}")
    return "\n\n".join(cues) + "\n"


def _write_text(path: Path, text: str) -> Path:
    return write_atomically(path, lambda p: p.write_text(text, encoding="utf-8"))


def _write_parquet(table: pa.Table, path: Path) -> None:
    pq.write_table(table, path, compression="zstd")


def _write_csv(table: pa.Table, path: Path) -> None:
    csv_rows(path, table.column_names, table.to_pylist())


def _write_jsonl(table: pa.Table, path: Path) -> None:
    json_lines(path, map(_plain, table.to_pylist()))


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if value is not None}
