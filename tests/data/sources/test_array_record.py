"""ArrayRecord shards and the encoding of records."""

import json
import pickle

import numpy as np
import pytest

from tests.data.samples import ListSource, encoded, pixels, record
from vujax.data.images import preprocess_eval_image
from vujax.data.records import BadSample
from vujax.data.sources import array_record
from vujax.data.sources.array_record import MANIFEST, ArrayRecordSource, convert_source
from vujax.models.image_spec import ImageSpec


@pytest.fixture
def folder(tmp_path):
    records = [record(i, image=encoded(i, height=64, width=64), label=i % 2) for i in range(25)]
    convert_source(ListSource(records, ("no", "yes")), tmp_path, origin={}, shard_size=10)
    return tmp_path


def test_bytes_of_a_record():
    before = record(1, image=encoded(1), captions=["é", "two"], label=3)
    assert array_record.decode_record(array_record.encode_record(before)) == before
    after = array_record.decode_record(array_record.encode_record(record(1)))
    np.testing.assert_array_equal(
        preprocess_eval_image(after["image"], ImageSpec.square(24)), pixels(1)
    )


@pytest.mark.parametrize(
    "data", [b"", b"VJX1", b"VJX1\xff\0\0\0{}", b"\xff\xd8\xff\xe0 a jpeg", b"VJX1\2\0\0\0[]"]
)
def test_other_bytes_are_refused(data):
    with pytest.raises(BadSample, match=r"not a record of tools/to_array_record\.py"):
        array_record.decode_record(data)


def test_records_come_back_in_order(folder):
    for path in (str(folder), f"{folder}/*.array_record"):
        source = ArrayRecordSource(path)
        assert [r["key"] for r in source] == [f"k{i:03d}" for i in range(25)]
        assert source[24] == record(24, image=encoded(24, height=64, width=64), label=0)
        assert source.classes == ("no", "yes")
    with pytest.raises(IndexError):
        source[25]


def test_a_pickled_source_reads_the_same(folder):
    source = ArrayRecordSource(str(folder))
    source[0]
    assert list(pickle.loads(pickle.dumps(source))) == list(source)


def test_a_damaged_file_is_named(folder):
    shard = folder / "data-00001-of-00003.array_record"
    whole = shard.read_bytes()
    for data in (whole[:-100], whole[:70_000], b""):
        shard.write_bytes(data)
        with pytest.raises(
            ValueError, match=r"data-00001-of-00003\.array_record is not a complete"
        ):
            ArrayRecordSource(str(folder))


def test_a_damaged_record_is_one_bad_sample(folder):
    shard = folder / "data-00001-of-00003.array_record"
    data = bytearray(shard.read_bytes())
    place = bytes(data).find(b'"k013"')
    data[place + 1] ^= 1
    shard.write_bytes(data)
    source = ArrayRecordSource(str(folder))
    with pytest.raises(BadSample, match=r"record 3 of .*data-00001-of-00003\.array_record"):
        source[13]
    assert source[14]["key"] == "k014"


def test_an_unfinished_conversion_is_refused(folder):
    manifest = folder / MANIFEST
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"complete": False}))
    with pytest.raises(ValueError, match="was not fully converted"):
        ArrayRecordSource(str(folder))


def test_files_alone_have_no_classes(folder):
    (folder / MANIFEST).unlink()
    source = ArrayRecordSource(f"{folder}/data-0000{{0..1}}-of-00003.array_record")
    assert (len(source), source.classes) == (20, None)
