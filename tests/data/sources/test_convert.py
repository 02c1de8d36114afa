"""Conversion of a source to ArrayRecord shards."""

import json
import os
import subprocess
import sys

import pytest

from tests.configs import ROOT
from tests.data.samples import ListSource, encoded, record, write_shards
from vujax.data.sources.array_record import ArrayRecordSource, convert_source
from vujax.data.sources.webdataset import WebDatasetSource


def test_a_webdataset_comes_back_equal(tmp_path):
    source = WebDatasetSource(write_shards(tmp_path, 7))
    facts = convert_source(source, tmp_path / "out", origin={"kind": "webdataset"}, shard_size=3)
    assert list(ArrayRecordSource(str(tmp_path / "out"))) == list(source)
    assert list(facts["written"].values()) == [3, 3, 1]
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "data-00000-of-00003.array_record",
        "data-00001-of-00003.array_record",
        "data-00002-of-00003.array_record",
        "dataset.json",
    ]


class Dies(ListSource):
    """Fails at one record as a machine does."""

    def __getitem__(self, index):
        if index == 7:
            raise OSError("the disk is gone")
        return super().__getitem__(index)


def test_an_interrupted_conversion_goes_on(tmp_path):
    records = [record(i, image=encoded(i)) for i in range(10)]
    options = dict(origin={"a": (1, 2)}, shard_size=3)
    with pytest.raises(OSError, match="the disk is gone"):
        convert_source(Dies(records), tmp_path, **options)
    done = [tmp_path / f"data-0000{i}-of-00004.array_record" for i in (0, 1)]
    assert [p for p in sorted(tmp_path.iterdir()) if p.suffix != ".json"] == done
    stamps = [p.stat().st_mtime_ns for p in done]
    with pytest.raises(ValueError, match="was not fully converted"):
        ArrayRecordSource(str(tmp_path))
    steps = []
    convert_source(ListSource(records), tmp_path, **options, progress=steps.append)
    assert [p.stat().st_mtime_ns for p in done] == stamps
    assert list(ArrayRecordSource(str(tmp_path))) == records
    assert sum(steps) == 10


def test_another_conversion_in_the_folder_is_left_alone(tmp_path):
    source = ListSource(record(i) for i in range(4))
    convert_source(source, tmp_path, origin={"path": "a"}, shard_size=2)
    before = {p: p.stat().st_mtime_ns for p in tmp_path.glob("*.array_record")}
    with pytest.raises(ValueError, match=r"has another conversion \(origin, shard_size differ\)"):
        convert_source(source, tmp_path, origin={"path": "b"}, shard_size=4)
    assert {p: p.stat().st_mtime_ns for p in tmp_path.glob("*.array_record")} == before


def test_records_that_cannot_be_read_are_left_out_and_named(tmp_path):
    records = [record(i, image=encoded(i)) for i in range(6)]
    source = ListSource([*records[:2], "'x' is broken", *records[2:]])
    facts = convert_source(source, tmp_path / "some", origin={}, shard_size=4)
    assert facts["bad"] == {
        "data-00000-of-00002.array_record": ["'x' is broken"],
        "data-00001-of-00002.array_record": [],
    }
    assert list(ArrayRecordSource(str(tmp_path / "some"))) == records
    with pytest.raises(ValueError, match="'x' is broken"):
        convert_source(source, tmp_path / "none", origin={}, max_bad=0.0)


def test_the_command(tmp_path):
    pattern = write_shards(tmp_path, 5)
    command = [sys.executable, "tools/to_array_record.py", str(tmp_path / "out"), "--kind"]
    command += ["webdataset", f"path={pattern}", 'hold_out={"modulo": 3}', "label_field=kind"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    facts = json.loads((tmp_path / "out" / "dataset.json").read_text())
    assert facts["origin"]["hold_out"] == {"modulo": 3}
    assert facts["classes"] == ["a", "b"]
    source = ArrayRecordSource(str(tmp_path / "out"))
    assert f"{len(source)} records, 0 left out" in done.stdout
    assert {r["label"] for r in source} <= {0, 1}
