"""Released models: a round trip, fine-tuning from one, damaged folders."""

import chex
import jax
import numpy as np
import pytest

from vujax.models import release
from vujax.utils.mesh import row_sharding

VARIABLES = {
    "params": {
        "image": {"kernel": np.arange(6.0, dtype=np.float32).reshape(2, 3)},
        "text": {"kernel": np.ones((3, 2), np.float32)},
        "logit_scale": np.float32(1.5),
    },
    "batch_stats": {"image": {"mean": np.zeros(3, np.float32)}},
}


@pytest.fixture
def workdir(tmp_path):
    release.save(tmp_path, {"model": {"embed_dim": 3}}, VARIABLES)
    return tmp_path


def test_round_trip_by_workdir_or_folder(workdir):
    for path in (workdir, workdir / "release"):
        config, variables = release.load(path)
        assert config == {"model": {"embed_dim": 3}}
        chex.assert_trees_all_equal(variables, VARIABLES)
    assert sorted(p.name for p in (workdir / "release").iterdir()) == [
        "config.json",
        "weights.safetensors",
    ]


def test_start_from_takes_all_but_the_fresh(workdir):
    mine = jax.tree.map(lambda x: -np.ones_like(x), VARIABLES["params"])
    mine["text"] = {"kernel": np.zeros((5, 2), np.float32)}
    got = release.init_from_release(workdir, mine, ("text/",))
    chex.assert_trees_all_equal(got["image"], VARIABLES["params"]["image"])
    chex.assert_trees_all_equal(got["text"], mine["text"])
    with pytest.raises(ValueError, match=r"'text/kernel' of shape \(3, 2\)"):
        release.init_from_release(workdir, mine, ())


def test_start_from_takes_batch_statistics(tmp_path):
    statistics = {"bn": {"mean": np.arange(3.0, dtype=np.float32)}}
    release.save(tmp_path, {}, VARIABLES | {"batch_stats": statistics})
    new = jax.tree.map(np.zeros_like, statistics)
    got = release.init_from_release(tmp_path, new, (), "batch_stats")
    chex.assert_trees_all_equal(got, statistics)
    release.save(tmp_path, {}, VARIABLES)
    with pytest.raises(ValueError, match="bn/mean"):
        release.init_from_release(tmp_path, new, (), "batch_stats")


def test_no_model_here(tmp_path):
    with pytest.raises(FileNotFoundError, match="is no model"):
        release.load(tmp_path)


def test_damaged_weights(workdir):
    (workdir / "release" / "weights.safetensors").write_bytes(b"\x08")
    with pytest.raises(ValueError, match="is damaged"):
        release.load(workdir)


def test_to_host_gathers_what_is_divided(mesh8):
    array = jax.device_put(np.arange(16.0), row_sharding(mesh8))
    np.testing.assert_array_equal(release.gather_to_host({"a": array})["a"], np.arange(16.0))
