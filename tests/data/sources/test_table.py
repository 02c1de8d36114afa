"""Tables of image paths and captions."""

import pickle

import pytest

from tests.data.samples import encoded
from vujax.data.records import BadSample
from vujax.data.sources.table import TableSource, read_inside


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
    source = TableSource(write(folder, text), line_ends=True)
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


def test_bytes_that_are_no_text_are_a_bad_row_or_decoded_by_option(folder):
    path = folder / "t.csv"
    path.write_bytes(b"image,caption\npictures/0.jpg,ok\npictures/1.jpg,caf\xe9\n")
    source = TableSource(str(path))
    assert source[0]["captions"] == ["ok"]
    with pytest.raises(BadSample, match=r"row 2 of .*t\.csv is not utf-8: byte 0xe9 at 18 .*enc"):
        source[1]
    assert TableSource(str(path), encoding="latin-1")[1]["captions"] == ["café"]
    for name, reason in [("utf-16", "does not extend ASCII"), ("latin-99", "unknown encoding")]:
        with pytest.raises(ValueError, match=reason):
            TableSource(str(path), encoding=name)
    path.write_bytes(b"image,caf\xe9\n")
    with pytest.raises(ValueError, match=r"the header of .* is not utf-8"):
        TableSource(str(path))


@pytest.mark.parametrize("stray", ['"one', 'one"', 'o"ne', '"one" two', '"'])
def test_a_quote_in_a_tsv_is_a_character(folder, stray):
    rows = f"pictures/0.jpg\t{stray}\npictures/1.jpg\ttwo\npictures/2.jpg\t{stray}\n"
    source = TableSource(write(folder, "image\tcaption\n" + rows, "t.tsv"))
    assert [record["captions"] for record in source] == [[stray], ["two"], [stray]]


def test_a_quoted_tsv_by_option(folder):
    text = 'image\tcaption\npictures/0.jpg\t"a\tb"\n'
    assert TableSource(write(folder, text, "t.tsv"), quoting=True)[0]["captions"] == ["a\tb"]


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ('0.jpg,"one\n1.jpg,two\n2.jpg,"three\n', "line 2: .*set quoting=False"),
        ('0.jpg,one\n1.jpg,"two\n2.jpg,three"\n', "line 3: a quoted field ends on another line"),
        ('0.jpg,"one\rtwo"\n', "line 2: a quoted field ends on another line"),
        ('0.jpg,"one\n', "line 2: unexpected end of data"),
    ],
)
def test_a_forgotten_quote_joins_no_rows(folder, rows, reason):
    with pytest.raises(ValueError, match=rf"t\.csv, {reason}"):
        TableSource(write(folder, "image,caption\n" + rows))


def test_a_line_end_in_a_tsv_is_a_bad_row(folder):
    path = write(folder, "image\tcaption\npictures/0.jpg\ta\rb\npictures/1.jpg\tc\r\n", "t.tsv")
    source = TableSource(path)
    assert source[1]["captions"] == ["c"]
    with pytest.raises(BadSample, match=r"row 1 of .*line end in a field"):
        source[0]
    assert TableSource(path, line_ends=True)[0]["captions"] == ["a\rb"]


def test_two_columns_of_one_name(folder):
    with pytest.raises(ValueError, match=r"t\.csv has two columns 'caption'"):
        TableSource(write(folder, "image,caption,caption\n"))


def test_a_path_that_no_file_can_have_is_a_bad_row(folder):
    (folder / "loop").symlink_to(folder / "loop")
    rows = ["a\0b", "x" * 300, "loop", "\ud800"]
    text = "image,caption\n" + "".join(f"{row},x\n" for row in rows[:3])
    source = TableSource(write(folder, text))
    for index in range(3):
        with pytest.raises(BadSample, match=rf"row {index + 1} of .*t\.csv: "):
            source[index]
    with pytest.raises(BadSample, match="is not a path"):
        read_inside(str(folder), rows[3], "row 4")
