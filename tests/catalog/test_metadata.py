"""Metadata tables: joined values, and errors of one sentence."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vujax.catalog.metadata import Metadata

TEXT = 'path,title,genres\na/b.mp4,"One, two","x|y"\n\nc.mp4,"He said ""no""\n",\n'


def write(path: Path, data: bytes | str) -> Path:
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def test_a_csv_table_is_joined_on_the_path(tmp_path: Path) -> None:
    table = Metadata.read(write(tmp_path / "m.csv", "\ufeff" + TEXT))
    assert table.key == "path"
    assert table.lookup("any", "a/b.mp4").row == {"title": "One, two", "genres": "x|y"}
    assert table.lookup("any", "c.mp4").row == {"title": 'He said "no"\n', "genres": None}
    nothing = table.lookup("any", "b.mp4")
    assert nothing.row == {"title": None, "genres": None}
    assert nothing.schema.names == ["title", "genres"]
    assert nothing.digest != table.lookup("any", "c.mp4").digest


def test_a_parquet_table_keeps_its_types(tmp_path: Path) -> None:
    columns = {"film": ["f-1", "g-2"], "genres": [["a", "b"], []], "year": [1999, None]}
    pq.write_table(pa.table(columns), tmp_path / "m.parquet")
    table = Metadata.read(tmp_path / "m.parquet")
    assert table.lookup("f-1", "any").row == {"genres": ["a", "b"], "year": 1999}
    assert table.schema.field("year").type == pa.int64()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is empty"),
        ("name,title\na,b\n", "neither a column 'film' nor 'path'"),
        ("path,title\na,b\na,c\n", "has the path 'a' twice"),
        ("path,title\n,b\n", "row without path"),
        ("path,title\na,b,c\n", "row 2 has 3 values and the header 2"),
        ("path,frames\na,1\n", "column name 'frames' is taken"),
        ("path,x,x\na,1,2\n", "column name 'x' is taken"),
        ('path,title\na,"b\n', "is not a CSV file"),
        (b"path,title\na,\xff\n", "is not a CSV file in UTF-8"),
    ],
)
def test_a_wrong_table_is_refused(tmp_path: Path, text: str | bytes, why: str) -> None:
    path = write(tmp_path / "m.csv", text)
    with pytest.raises(ValueError, match=why) as raised:
        Metadata.read(path)
    assert str(path) in str(raised.value)


def test_there_must_be_a_table(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="does not exist"):
        Metadata.read(tmp_path / "m.csv")


def test_damaged_tables_are_read_or_refused_in_a_sentence(tmp_path: Path) -> None:
    """Random bytes of a CSV and of a Parquet file are changed: never another exception."""
    pq.write_table(pa.table({"path": ["a", "b"], "year": [1, 2]}), tmp_path / "whole.parquet")
    whole = {"m.csv": TEXT.encode(), "m.parquet": (tmp_path / "whole.parquet").read_bytes()}
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(150):
        for name, data in whole.items():
            changed = np.frombuffer(data, np.uint8).copy()
            changed[rng.integers(0, len(changed), 3)] = rng.integers(0, 256, 3)
            cut = changed[: rng.integers(1, len(changed) + 1)] if rng.random() < 0.3 else changed
            try:
                Metadata.read(write(tmp_path / name, cut.tobytes()))
            except ValueError as error:
                refused += 1
                assert str(error).startswith(str(tmp_path))
    assert refused > 50
