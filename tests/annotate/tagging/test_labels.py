"""Labels in tables: parsed lines, and the lines of errors."""

from pathlib import Path

import pytest

from tests.annotate.tagging.stub_catalog import write_table
from vujax.annotate.tagging.labels import TimeSpan, read_labels
from vujax.catalog import Id


def test_ids_with_values(tmp_path: Path) -> None:
    lines = ["f-1/s0003,kiss,1", "f-1/s3/1,kiss,-1", "f-1/c004,car,0", "f-1,car,", ""]
    found = read_labels(write_table(tmp_path / "a.csv", lines, "id,label,value"))
    assert [label.target for label in found] == [
        Id("f-1", shot=3),
        Id("f-1", shot=3, keyframe=1),
        Id("f-1", scene=4),
        Id("f-1"),
    ]
    assert [label.is_positive for label in found] == [True, False, False, True]
    assert found[2].where == f"{tmp_path / 'a.csv'}, line 4"


def test_times_and_columns_that_do_not_matter(tmp_path: Path) -> None:
    header = "who,video,label,start,end,score"
    lines = ["me,films/a.mp4,kiss,1.5,4,0.3", 'me,a.mp4,"car, old",0,0,', "x,a.mp4,car,1,2,-4"]
    found = read_labels(write_table(tmp_path / "a.csv", lines, header))
    assert found[0].target == TimeSpan("films/a.mp4", 1.5, 4.0)
    assert [label.label for label in found] == ["kiss", "car, old", "car"]
    assert all(label.is_positive for label in found)


def test_an_id_counts_before_times(tmp_path: Path) -> None:
    """As the curation page exports them."""
    header = "video,label,start,end,score,value,id"
    (label,) = read_labels(
        write_table(tmp_path / "a.csv", ["a.mp4,kiss,1,2,,-1,f-1/s0001"], header)
    )
    assert (label.target, label.is_positive) == (Id("f-1", shot=1), False)


@pytest.mark.parametrize(
    ("header", "line", "why"),
    [
        ("id,label", "f/x3,kiss", r"line 2: 'f/x3' is not an id; expected FILM, FILM/s0012"),
        ("id,label", ",kiss", "line 2: id is missing"),
        ("id,label", "f,", "line 2: label is missing"),
        ("id,label", "f,kiss,more", "line 2: 3 cells under a header of 2"),
        ("id;label", "f;kiss", "line 1: cells are separated by semicolons where commas are read"),
        ("id,name", "f,kiss", "line 1: no column 'label': it has id, name"),
        ("film,label", "f,kiss", "line 1: no column 'id', nor 'video' with 'start' and 'end'"),
        ("id,label,value", "f,kiss,yes", "line 2: the value 'yes' is not a number"),
        ("id,label,value", "f,kiss,0.5", "line 2: unknown value 0.5; expected 1"),
        ("id,label,value", "f,kiss,2", "line 2: the value 2 is not within -1..1"),
        ("id,label,value", "f,kiss,nan", "line 2: the value nan is not within -1..1"),
        ("id,label,score", "f,kiss,nan", "line 2: the score nan is not a number"),
        ("id,label,score", "f,kiss,high", "line 2: the score high is not a number"),
        ("video,label,start,end", "f,kiss,1,", "line 2: end is missing"),
        ("video,label,start,end", "f,kiss,nan,3", "line 2: the start nan is not within"),
        ("video,label,start,end", "f,kiss,-1,3", "line 2: the start -1 is not within"),
        ("video,label,start,end", "f,kiss,5,3", "line 2: the end 3 s is before the start 5 s"),
        ("video,label,start,end", "f,kiss,0:05,3", "line 2: the start '0:05' is not a number"),
        ("video,label", "f,kiss", "line 2: start is missing"),
        ("id,label", "", "has no labels; write one line per label"),
    ],
)
def test_which_line_is_wrong(header: str, line: str, why: str, tmp_path: Path) -> None:
    path = write_table(tmp_path / "labels.csv", [line], header)
    with pytest.raises(ValueError, match=why) as error:
        read_labels(path)
    assert str(path) in str(error.value)


def test_files_that_are_no_tables(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    with pytest.raises(FileNotFoundError, match="does not exist"):
        read_labels(path)
    path.write_bytes(b"")
    with pytest.raises(ValueError, match="is empty: it needs a header line"):
        read_labels(path)
    path.write_bytes("id,label\nf,baiser\nf,été\n".encode("latin-1"))
    with pytest.raises(ValueError, match="line 3: not UTF-8"):
        read_labels(path)
