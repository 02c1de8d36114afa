"""The cache of records."""

import pytest

from tests.data.samples import ListSource, record
from vujax.data.records import BadSample
from vujax.data.sources import CachedSource, open_source


class Counting(ListSource):
    """Notes which records are read."""

    def __init__(self, records) -> None:
        super().__init__(records)
        self.read = []

    def __getitem__(self, index):
        self.read.append(index)
        return super().__getitem__(index)


def test_each_record_is_read_once():
    source = Counting(record(i) for i in range(5))
    kept = CachedSource(source)
    assert [kept[i]["key"] for i in (3, 1, 3, 3, 1)] == ["k003", "k001", "k003", "k003", "k001"]
    assert source.read == [3, 1]
    assert (len(kept), kept.classes) == (5, source.classes)


def test_errors_are_not_kept():
    kept = CachedSource(ListSource([record(0)]))
    for _ in range(2):
        with pytest.raises(IndexError):
            kept[1]


def test_a_bad_sample_is_bad_each_time():
    kept = CachedSource(ListSource(["record 0 is torn"]))
    for _ in range(2):
        with pytest.raises(BadSample, match="record 0 is torn"):
            kept[0]


def test_any_kind_can_be_kept():
    source = open_source("cinema", frames=4, image_size=16, keep=True)
    assert source[2] is source[2]
    assert len(source) == 4
