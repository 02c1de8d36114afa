"""WebDataset shards."""

import json
import pickle

import pytest

from tests.data.samples import encoded, sample, write_shards, write_tar
from vujax.data.records import BadSample
from vujax.data.sources.webdataset import WebDatasetSource, split_name


def source_of(tmp_path, members, **options) -> WebDatasetSource:
    return WebDatasetSource(str(write_tar(tmp_path / "s.tar", members)), **options)


def test_records_of_several_shards(tmp_path):
    source = WebDatasetSource(write_shards(tmp_path, 5, shards=2))
    assert len(source) == 5
    assert [r["key"] for r in source] == ["s000", "s002", "s004", "s001", "s003"]
    record = source[3]
    assert record["image"] == encoded(1)
    assert record["captions"] == ["picture number 1"]
    assert record["fields"] == {"id": "1", "kind": "b"}
    assert record["label"] is None
    assert source.classes is None


def test_out_of_range_is_an_index_error(tmp_path):
    source = WebDatasetSource(write_shards(tmp_path, 3))
    for index in (-1, 3):
        with pytest.raises(IndexError, match=f"sample {index} of 3"):
            source[index]


def test_a_pickled_source_reads_the_same(tmp_path):
    source = WebDatasetSource(write_shards(tmp_path, 3))
    source[0]
    copy = pickle.loads(pickle.dumps(source))
    assert [copy[i] for i in range(3)] == [source[i] for i in range(3)]


@pytest.mark.parametrize("extension", ["jpeg", "png", "webp", "JPG", "avif"])
def test_picture_formats_by_extension(tmp_path, extension):
    source = source_of(tmp_path, [(f"a.{extension}", b"picture"), ("a.txt", b"text")])
    assert source[0]["image"] == b"picture"


def test_keys_hold_folders_and_end_at_the_first_dot():
    assert split_name("x.y/a.b.jpg") == ("x.y/a", "b.jpg")
    assert split_name("README") == ("README", "")


def test_hidden_files_and_files_without_extension_are_no_samples(tmp_path):
    members = [("README", b"x"), ("._a.jpg", b"x"), *sample("a", b"picture", "text")]
    source = source_of(tmp_path, members)
    assert [r["key"] for r in source] == ["a"]


def test_img2dataset_layout(tmp_path):
    for name in ("00000", "00001"):
        caption = {"caption": f"of {name}", "url": "http://x", "status": "success", "key": name}
        write_tar(
            tmp_path / f"{name}.tar", sample(f"{name}0000", encoded(1), f"of {name}", **caption)
        )
        (tmp_path / f"{name}.parquet").write_bytes(b"not read")
        (tmp_path / f"{name}_stats.json").write_text("{}")
    source = WebDatasetSource(f"{tmp_path}/*")
    assert [r["captions"] for r in source] == [["of 00000"], ["of 00001"]]
    from_json = WebDatasetSource(f"{tmp_path}/*.tar", caption_field="caption")
    assert [r["captions"] for r in from_json] == [["of 00000"], ["of 00001"]]


def test_several_captions_by_line_or_by_list(tmp_path):
    fields = {"texts": ["three", "four", None], "single": "five"}
    members = sample("a", encoded(1), "one\n\n two\r\n", **fields)
    source = source_of(tmp_path, members)
    path = str(tmp_path / "s.tar")
    assert source[0]["captions"] == ["one\n\n two"]
    assert WebDatasetSource(path, split_lines=True)[0]["captions"] == ["one", "two"]
    assert WebDatasetSource(path, caption_field="texts")[0]["captions"] == ["three", "four"]
    assert WebDatasetSource(path, caption_field="single")[0]["captions"] == ["five"]


def test_labels_and_class_names(tmp_path):
    listed = tmp_path / "classes.json"
    listed.write_text(json.dumps(["cat", "dog"]))
    members = [
        ("a.jpg", b"x"),
        ("a.cls", b"1\n"),
        ("b.jpg", b"x"),
        ("b.cls", b"2"),
        ("c.jpg", b"x"),
    ]
    members += [("c.cls", b"dog")]
    source = source_of(tmp_path, members, classes=str(listed))
    assert source.classes == ("cat", "dog")
    assert source[0]["label"] == 1
    with pytest.raises(BadSample, match=r"sample 'b' of .*s\.tar: label 2 has no name among 2"):
        source[1]
    with pytest.raises(BadSample, match=r"sample 'c' of .*cls is not a whole number: b'dog'"):
        source[2]


def test_what_a_sample_lacks_is_named(tmp_path):
    members = [
        ("a.txt", b"text"),
        ("a.json", b"{}"),
        ("b.jpg", b"x"),
        ("b.json", b"{no"),
        *sample("c", b"", ""),
    ]
    source = source_of(tmp_path, members)
    with pytest.raises(BadSample, match=r"'a' of .*s\.tar has no image, only \.txt, \.json"):
        source[0]
    with pytest.raises(BadSample, match=r"'b' of .*s\.tar: its \.json cannot be read"):
        source[1]
    with_field = WebDatasetSource(str(tmp_path / "s.tar"), caption_field="title")
    with pytest.raises(BadSample, match="has no JSON field 'title'"):
        with_field[2]


def test_captions_in_another_encoding_are_bad_or_decoded_by_option(tmp_path):
    members = [("a.jpg", b"x"), ("a.txt", "caf\xe9".encode("latin-1"))]
    source = source_of(tmp_path, members)
    with pytest.raises(BadSample, match=r"'a' of .*s\.tar: its \.txt is not utf-8: byte 0xe9 at 3"):
        source[0]
    path = str(tmp_path / "s.tar")
    assert WebDatasetSource(path, encoding="latin-1")[0]["captions"] == ["café"]
    marked = source_of(tmp_path, [("a.jpg", b"x"), ("a.txt", "\ufeffone".encode())])
    assert marked[0]["captions"] == ["one"]


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ([("a.jpg", b"x"), ("a.png", b"y")], r"several images, \.jpg and \.png \(option image\)"),
        ([("a.jpg", b"x"), ("a.jpg", b"y")], r"two members \.jpg"),
        ([("a.jpg", b"x"), ("a.TXT", b"one"), ("a.txt", b"two")], r"two members \.txt"),
        ([("a.jpg", b"x"), ("a.json", b'{"c": "one", "c": "two"}')], "field 'c' occurs twice"),
        ([("a.jpg", b"x"), ("a.json", b'{"c": {"en": "one"}}')], "not a text or a list of texts"),
        ([("a.jpg", b"x"), ("a.json", b'{"c": ["one", 2]}')], "not a text or a list of texts: 2"),
        ([("a.jpg", b"x"), ("a.json", b'{"c": "\\ud800"}')], "half a surrogate pair"),
        ([("a.jpg", b"x"), ("a.cls", b"1_0"), ("a.json", b'{"c": ""}')], "not a whole number"),
    ],
)
def test_what_is_ambiguous_is_a_bad_sample(tmp_path, members, reason):
    with pytest.raises(BadSample, match=rf"'a' of .*s\.tar.*{reason}"):
        source_of(tmp_path, members, caption_field="c")[0]


def test_an_image_among_several(tmp_path):
    source = source_of(tmp_path, [("a.jpg", b"x"), ("a.png", b"mask")], image="png")
    assert source[0]["image"] == b"mask"
    with pytest.raises(BadSample, match=r"has no \.webp, only \.jpg, \.png"):
        WebDatasetSource(str(tmp_path / "s.tar"), image="webp")[0]


def test_a_truncated_tar_is_an_error_or_loses_its_end(tmp_path):
    pattern = write_shards(tmp_path, 8, shards=2)
    second = tmp_path / "shard-001.tar"
    whole = WebDatasetSource(pattern)
    start, size = map(int, whole._spans[6])  # the third sample of the second shard
    second.write_bytes(second.read_bytes()[: start + size - 510])
    with pytest.raises(ValueError, match=r"shard-001\.tar at byte \d+: the file ends .*truncated"):
        WebDatasetSource(pattern)
    kept = WebDatasetSource(pattern, truncated="keep", index_dir=str(tmp_path / "index"))
    assert [r["key"] for r in kept] == ["s000", "s002", "s004", "s006", "s001", "s003"]
    assert list(kept.lost) == [str(second)]
    with pytest.raises(ValueError, match="truncated"):  # the partial index was not kept
        WebDatasetSource(pattern, index_dir=str(tmp_path / "index"))


def test_unknown_way_with_truncated_files(tmp_path):
    with pytest.raises(ValueError, match="unknown truncated 'ignore'; expected one of: error"):
        WebDatasetSource(write_shards(tmp_path, 2), truncated="ignore")


def test_members_that_are_not_neighbours_are_refused(tmp_path):
    members = [("a.jpg", b"x"), ("b.jpg", b"x"), ("a.txt", b"x"), ("b.txt", b"x")]
    with pytest.raises(ValueError, match=r"s\.tar at byte 2048: key 'a' comes back"):
        source_of(tmp_path, members)


def test_the_kept_index_gives_the_same_records(tmp_path):
    pattern, index = write_shards(tmp_path, 5), str(tmp_path / "index")
    plain, first, second = (WebDatasetSource(pattern, index_dir=d) for d in (None, index, index))
    assert list(plain) == list(first) == list(second)
    assert len(list((tmp_path / "index").iterdir())) == 2
