"""Sources opened by kind."""

import pytest

from tests.data.samples import encoded, write_shards
from vujax.data.sources import SOURCES, open_source


def test_unknown_kind():
    with pytest.raises(
        ValueError, match=r"unknown data source 'tar'; expected one of: array_record"
    ):
        open_source("tar", path="x")


@pytest.mark.parametrize("kind", sorted(SOURCES))
def test_unknown_options_are_named_beside_the_known(kind):
    with pytest.raises(
        ValueError, match=rf"'{kind}': unknown option 'pth'; expected one of: .*hold_out"
    ):
        open_source(kind, pth="x")


def test_missing_option():
    with pytest.raises(ValueError, match="'webdataset' needs the option path"):
        open_source("webdataset")


def test_wrappers_apply_to_every_kind(tmp_path):
    pattern = write_shards(tmp_path, 40)
    rule = {"field": "id", "modulo": 4, "remainder": 1}
    options = dict(path=pattern, label_field="kind", shuffle_captions=0.5, shuffle_seed=1)
    train, validation = (
        open_source("webdataset", hold_out=rule | {"part": part}, **options)
        for part in ("train", "validation")
    )
    assert len(train) + len(validation) == 40
    assert train.classes == validation.classes == ("a", "b")
    own = {f"s{i:03d}": [f"picture number {i}"] for i in range(40)}
    moved = sum(r["captions"] != own[r["key"]] for r in train)
    assert moved == round(0.5 * len(train))
    texts = [r["captions"] for r in validation]
    assert sorted(texts) == sorted(own[r["key"]] for r in validation)


def test_folder_and_cinema_open_by_name(tmp_path):
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "1.jpg").write_bytes(encoded(1))
    assert open_source("folder", path=str(tmp_path)).classes == ("cat",)
    cinema = open_source("cinema", split="validation")
    assert cinema[0]["image"].ndim == 3
