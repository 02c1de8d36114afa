"""Released models: a round trip, fine-tuning from one, damaged folders."""

import chex
import jax
import numpy as np
import pytest
from safetensors.numpy import save

from tests.kill_points import killed_at_each_change
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


@pytest.mark.filterwarnings("ignore:.*is not the config of the weights beside it")
def test_a_release_over_another_is_the_old_or_the_new_wherever_it_is_killed(tmp_path):
    old, new = ({"model": {"embed_dim": 3}, "step": n} for n in (1, 2))
    changed = jax.tree.map(lambda x: x + 1, VARIABLES)
    found = []
    release.save(tmp_path, old, VARIABLES)
    for _ in killed_at_each_change(lambda: release.save(tmp_path, new, changed)):
        config, variables = release.load_host(tmp_path)
        assert config in (old, new)
        chex.assert_trees_all_equal(variables, VARIABLES if config == old else changed)
        found.append(config["step"])
        release.save(tmp_path, old, VARIABLES)
    assert found == sorted(found) and found[0] == 1 and found[-1] == 2 and len(found) > 6


def test_a_config_that_is_not_of_the_weights_is_noticed(workdir):
    (workdir / "release" / "config.json").write_text('{"model": {"embed_dim": 4}}')
    with pytest.warns(UserWarning, match=r"config\.json is not the config of the weights"):
        config, _ = release.load(workdir)
    assert config == {"model": {"embed_dim": 3}}
    (workdir / "release" / "config.json").write_text("{")
    with pytest.raises(ValueError, match="is damaged"):
        release.load(workdir)


def test_a_release_without_config_in_its_weights(workdir):
    folder = workdir / "release"
    (folder / "weights.safetensors").write_bytes(save({"params/a": np.ones(2, np.float32)}))
    assert release.load_host(workdir)[0] == {"model": {"embed_dim": 3}}


def test_the_tokenizer_of_a_replaced_release_stays_until_the_end(tmp_path):
    for name, text in (("a", "one"), ("b", "two")):
        config = {"tokenizer": {"kind": "clip", "file": "tokenizer.json"}}
        folder = release.save(tmp_path / name, config, VARIABLES)
        (folder / "tokenizer.json").write_text(text)
    release.save(tmp_path / "mine", {}, VARIABLES, tmp_path / "a")
    before = release.read_config(tmp_path / "mine" / "release")
    folder = release.save(tmp_path / "mine", {}, VARIABLES, tmp_path / "b")
    after = release.read_config(folder)
    texts = [(folder / config["tokenizer"]["file"]).read_text() for config in (before, after)]
    assert texts == ["one", "two"]
