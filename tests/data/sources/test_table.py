"""Tables of image paths and captions."""

import pickle

import pytest

from tests.data.samples import encoded
from vujax.data.records import BadSample
from vujax.data.sources.table import TableSource


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "pictures").mkdir()
    for i in range(3):
        (tmp_path / "pictures" / f"{i}.jpg").write_bytes(encoded(i))
    (tmp_path / "secret.txt").write_text("secret")
    return tmp_path


def write(folder, text, name="t.csv"):
    (folder / name).write_text(text, encoding="utf-8", newline="")
    return str(folder / name)


def test_quotes_line_breaks_and_blank_lines(folder):
    text = 'image,caption,kind\npictures/0.jpg,"a, ""b""\nc",x\n\npictures/1.jpg,é图,y\r\n'
    source = TableSource(write(folder, text))
    assert len(source) == 2
    assert source[0]["captions"] == ['a, "b"\nc']
    assert source[1]["captions"] == ["é图"]
    assert source[1]["image"] == encoded(1)
    assert source[1]["fields"] == {"image": "pictures/1.jpg", "caption": "é图", "kind": "y"}
    assert source[0]["key"] == "pictures/0.jpg"


def test_line_separators_inside_a_caption_do_not_end_the_row(folder):
    source = TableSource(write(folder, "image,caption\npictures/0.jpg,one\u2028two\x0bthree\n"))
    assert source[0]["captions"] == ["one\u2028two\x0bthree"]


def test_tabs_several_captions_keys_and_a_mark_at_the_start(folder):
    text = "\ufefffile\ttitle\talt\tid\n2.jpg\tone\ttwo\tn2\n"
    path = write(folder, text, "t.tsv")
    options = dict(image="file", caption=["title", "alt"], key="id", root=str(folder / "pictures"))
    record = pickle.loads(pickle.dumps(TableSource(path, **options)))[0]
    assert (record["key"], record["captions"]) == ("n2", ["one", "two"])
    assert record["image"] == encoded(2)


def test_a_missing_column_is_named_with_those_there_are(folder):
    path = write(folder, "file,title\n0.jpg,x\n")
    with pytest.raises(ValueError, match=r"t\.csv has no column 'image': it has file, title"):
        TableSource(path)
    with pytest.raises(ValueError, match="no column 'text'"):
        TableSource(path, image="file", caption="text")


def test_no_table_and_an_empty_one(folder):
    with pytest.raises(FileNotFoundError, match=r"none\.csv: no such file"):
        TableSource(str(folder / "none.csv"))
    with pytest.raises(ValueError, match="no column 'image'"):
        TableSource(write(folder, ""))


@pytest.mark.parametrize("path", ["../secret.txt", "/etc/hostname", "a/../../secret.txt"])
def test_paths_stay_inside_the_root(folder, path):
    source = TableSource(write(folder, f"image,caption\n{path},x\n"), root=str(folder / "pictures"))
    with pytest.raises(BadSample, match="leads out of"):
        source[0]


def test_absolute_paths_inside_the_root_are_fine(folder):
    source = TableSource(write(folder, f"image,caption\n{folder}/pictures/1.jpg,x\n"))
    assert source[0]["image"] == encoded(1)


def test_rows_that_cannot_be_used_are_named(folder):
    source = TableSource(write(folder, "image,caption\npictures/9.jpg,x\npictures/1.jpg\n.,x\n"))
    with pytest.raises(BadSample, match=r"row 1 of .*t\.csv: .*pictures/9\.jpg does not exist"):
        source[0]
    with pytest.raises(BadSample, match=r"row 2 of .*t\.csv has 1 columns, not 2"):
        source[1]
    with pytest.raises(BadSample, match="row 3 of"):
        source[2]
    with pytest.raises(IndexError):
        source[3]


def test_bytes_that_are_no_text_are_placed(folder):
    path = folder / "t.csv"
    path.write_bytes(b"image,caption\npictures/0.jpg,ok\npictures/1.jpg,\xff\xfe\n")
    with pytest.raises(ValueError, match=r"t\.csv, after byte 32"):
        TableSource(str(path))
