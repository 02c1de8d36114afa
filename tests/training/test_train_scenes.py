"""The loop with Movies2Scenes: learning, exact resume, device counts, staged training."""

from pathlib import Path

import chex
import numpy as np
import pytest

from tests.configs import load
from tests.training.test_loop import losses
from tests.training.test_train_shots import STEPS, WIDTH, back_to, run, state_of, tiny, write_films
from vujax.methods import movies2scenes as task
from vujax.models import release

TABLE = "id,title,genres\nfilm-0,One,Drama\nfilm-1,Two,Drama|War\nfilm-2,Three,War\nfilm-3,Four,\n"


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    folder = write_films(tmp_path_factory.mktemp("films"))
    (folder / "movies.csv").write_text(TABLE)
    return folder


def small(films: Path, **overrides):
    """Return configs/movies2scenes.py:movieclip on the features of some films, with few weights."""
    config = load("movies2scenes", "movieclip")
    with config.unlocked():
        config.inputs.feature = (WIDTH,)
        sizes = dict(width=16, layers=1, heads=2, dim=8, max_shots=8)
        config.model.encoder = dict(variant="tiny", **sizes)
        config.model.projection = (6,)
        seen = dict(path=str(films), key="vgg19")
        config.data.scenes = dict(kind="features", films=seen, max_shots=8)
        config.data.tables = dict(kind="tables", path=str(films))
    given = {
        "data.guide": "genre",
        "data.k": 2,
        "data.width": 16,
        "data.most": 2,
        "method.queue": 32,
        "batch_size": 8,
        "total_steps": STEPS,
        "log_steps": 1,
        "checkpoint_steps": 3,
        "optimizer.warmup_steps": 0,
    }
    config.update_from_flattened_dict(given | overrides)
    return config


@pytest.fixture(scope="module")
def unbroken(films, tmp_path_factory):
    return run(small(films), tmp_path_factory.mktemp("unbroken"), 1)


@pytest.mark.long
def test_a_run_learns_and_says_what_it_read(unbroken):
    assert np.isfinite(losses(unbroken)).all() and len(losses(unbroken)) == STEPS
    saved, variables = release.load(unbroken)
    assert saved["inputs"] == {"feature": [WIDTH]} and saved["vectors"] == ""
    assert set(variables["params"]) == {"encoder", "projection"}


@pytest.mark.long
def test_resume_is_exact_to_the_last_bit_with_the_queue(films, unbroken, tmp_path):
    config = small(films)
    resumed = run(config, back_to(unbroken, tmp_path, 3), 1)
    assert losses(resumed) == losses(unbroken)
    old, new = (state_of(config, workdir, STEPS, 1) for workdir in (unbroken, resumed))
    chex.assert_trees_all_equal(new, old)


@pytest.mark.long
def test_eight_devices_go_on_with_one(films, unbroken, tmp_path):
    config = small(films)
    several = run(config, tmp_path / "several", 8)
    np.testing.assert_allclose(losses(several), losses(unbroken), rtol=2e-4)
    resumed = run(config, back_to(several, tmp_path / "resumed", 3), 1)
    np.testing.assert_allclose(losses(resumed), losses(unbroken), rtol=2e-4)


def test_held_out_movies_have_no_part_in_it(films, tmp_path):
    for name in ("film-0", "film-1"):
        new = tmp_path / f"{name.replace('film-', 'tt000000')}.npz"
        new.write_bytes((films / f"{name}.npz").read_bytes())
    held = tmp_path / "held.txt"
    held.write_text("tt0000001\n")
    options = {"data.guide": "all", "method.alone": "augment"}
    options["data.scenes.films.path"] = str(tmp_path)
    for path, there in (("", ("tt0000000", "tt0000001")), (str(held), ("tt0000000",))):
        config = small(films, **options | {"data.held_out.list": path})
        assert task.open_data(config).scenes.movies == there


@pytest.mark.long
def test_a_shot_encoder_of_shotcol_starts_it_and_stays(films, tmp_path):
    shots = run(tiny(films, total_steps=1), tmp_path / "shots", 1)
    config = small(films, total_steps=2, init_from=str(shots))
    with config.unlocked():
        config.model.encoder.encoder = tiny(films).model.encoder
        config.init_part = ("encoder/", "encoder/encoder/")
        config.optimizer.rules = (("encoder/encoder/.*", None), (".*", 1.0))
    run(config, tmp_path / "scenes", 1)
    learned = release.load(tmp_path / "scenes")[1]["params"]["encoder"]["encoder"]
    chex.assert_trees_all_equal(learned, release.load(shots)[1]["params"]["encoder"])


@pytest.mark.long
def test_a_part_that_is_not_there(films, tmp_path):
    shots = run(tiny(films, total_steps=1), tmp_path / "shots", 1)
    config = small(films, init_from=str(shots))
    config.init_part = ("encoder/", "encoder/shots/")
    with pytest.raises(ValueError, match="no parameter is named encoder/shots/"):
        run(config, tmp_path / "scenes", 1)
