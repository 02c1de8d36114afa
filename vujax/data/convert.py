"""Writes any source as ArrayRecord shards, which a later run of the same conversion completes."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from array_record.python.array_record_module import ArrayRecordWriter

from vujax.data.array_record import MANIFEST
from vujax.data.bad import BadSamples
from vujax.data.example import encode
from vujax.data.records import BadSample, Source
from vujax.files import write_atomically, write_json

# group_size 1: each record is read on its own. Pictures are compressed already.
WRITER_OPTIONS = "group_size:1,uncompressed"


def convert(
    source: Source,
    folder: Path,
    *,
    origin: Mapping[str, Any],
    shard_size: int = 10_000,
    max_bad: float = 0.01,
    progress: Callable[[int], Any] = lambda records: None,
) -> dict[str, Any]:
    """Writes `folder/data-00000-of-0000N.array_record` ... and `folder/dataset.json`.

    Each file appears whole or not at all. Shards that an earlier, interrupted call finished are
    kept. Records that cannot be read are left out, counted and named in dataset.json.

    Args:
      source: what to write.
      folder: new, or that of an interrupted call with the same arguments.
      origin: what the source was opened with, kept in dataset.json.
      shard_size: records of `source` for each file.
      max_bad: greatest share of unreadable records.
      progress: called with the number of records done since the last call.

    Returns:
      The contents of dataset.json.

    Raises:
      ValueError: the folder holds another conversion, or too many records are bad.
    """
    facts = _start(source, folder, origin, shard_size)
    shards = -(-len(source) // shard_size)
    bad = BadSamples(max_bad)
    for shard in range(shards):
        name = f"data-{shard:05d}-of-{shards:05d}.array_record"
        span = range(shard * shard_size, min((shard + 1) * shard_size, len(source)))
        if name not in facts["written"] or not (folder / name).exists():
            problems: list[str] = []
            write_atomically(folder / name, lambda p, s=span, b=problems: _write(source, s, p, b))
            bad.add(len(span), problems)
            bad.check()
            facts["written"][name] = len(span) - len(problems)
            facts["bad"][name] = problems
            write_json(folder / MANIFEST, facts)
        progress(len(span))
    facts["complete"] = True
    write_json(folder / MANIFEST, facts)
    return facts


def _start(
    source: Source, folder: Path, origin: Mapping[str, Any], shard_size: int
) -> dict[str, Any]:
    """The manifest of this conversion: a new one, or the one that is in the folder."""
    plan = {
        "format": "vujax example 1 (vujax/data/example.py)",
        "origin": json.loads(json.dumps(origin)),
        "records": len(source),
        "shard_size": shard_size,
        "classes": None if source.classes is None else list(source.classes),
    }
    path = folder / MANIFEST
    facts = {**plan, "complete": False, "written": {}, "bad": {}}
    if not path.exists():
        write_json(path, facts)
        return facts
    found = json.loads(path.read_text("utf-8"))
    if different := [key for key, value in plan.items() if found.get(key) != value]:
        raise ValueError(
            f"{folder} holds another conversion ({', '.join(different)} differ): use an empty one"
        )
    return found


def _write(source: Source, span: range, path: Path, problems: list[str]) -> None:
    writer = ArrayRecordWriter(str(path), WRITER_OPTIONS)
    try:
        for index in span:
            try:
                record = source[index]
            except BadSample as error:
                problems.append(str(error))
                continue
            writer.write(encode(record))
    finally:
        writer.close()
