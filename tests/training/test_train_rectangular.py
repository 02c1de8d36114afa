"""Images of 96 x 64 pixels: a training step, the release, and embeddings of a catalog."""

from pathlib import Path

import jax
import numpy as np
import pytest
from ml_collections import ConfigDict

from tests.configs import load, tiny
from tests.encoders import stub
from tests.training.test_loop import use
from vujax.catalog import Catalog
from vujax.data.images import preprocess_eval_image
from vujax.encoders import make_opener, open_encoder
from vujax.encoders.image_text_model import load_model
from vujax.models import build_clip, release
from vujax.models.image_spec import ImageSpec
from vujax.models.shot_encoder import build_shot_encoder
from vujax.training import loop

pytestmark = pytest.mark.long

SIZE = [64, 96]  # height and width
SPEC = ImageSpec.from_size(SIZE)


def one_step(config: ConfigDict, workdir: Path) -> Path:
    config.update(dict(total_steps=1, log_steps=1))
    with config.unlocked():
        config.evals = {}
    with pytest.MonkeyPatch.context() as patch:
        use(patch, 1)
        loop.train(config, workdir)
    return workdir


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stub.catalogue(tmp_path_factory.mktemp("films"), films=1)


def clip_config() -> ConfigDict:
    config = tiny(batch_size=8)
    settings = dict(config.model.image) | dict(image_size=SIZE, patch=32)
    config.model.image = ConfigDict(settings)
    return config


def shot_config() -> ConfigDict:
    config = load("shotcol", "cinema")
    config.inputs.image = (2, *SPEC.shape)
    sizes = dict(width=4, image_size=SIZE, frames=2)
    config.model.encoder.image = ConfigDict(dict(config.model.encoder.image) | sizes)
    films = dict(films=2, minutes=0.5, image_size=SIZE, frames=2)
    config.data.films.main = ConfigDict(dict(config.data.films.main) | films)
    config.data.workers = 0
    config.update(dict(batch_size=4))
    config.method.queue = 64
    config.optimizer.warmup_steps = 0
    return config


def test_an_image_text_model(root: Path, tmp_path: Path) -> None:
    workdir = one_step(clip_config(), tmp_path / "clip")
    config, variables = release.load(workdir)
    assert config["model"]["image"]["image_size"] == SIZE and "preprocess" not in config
    model = build_clip(**config["model"])
    assert model.image_spec == open_encoder(str(workdir)).image_spec == SPEC
    assert variables["params"]["image"]["positions"].shape[0] == 2 * 3 + 1
    stub.run(root, make_opener(str(workdir)), workers=1)
    catalog = Catalog(root)
    table = catalog.embeddings("frame", "clip")
    images = np.stack(
        [preprocess_eval_image(catalog.jpeg(i), SPEC) for i in table["id"].to_pylist()]
    )
    assert images.shape[1:] == (64, 96, 3)
    encode = jax.jit(lambda images: model.apply(variables, images, method="encode_image")[0])
    stored = np.stack(table["vector"].to_pylist())
    np.testing.assert_allclose(stored, encode(images), atol=1e-5)
    np.testing.assert_allclose(load_model(workdir).encode_image(images), stored, atol=1e-5)
    with pytest.raises(ValueError, match=r"which takes \[b 64 96 3\]"):
        model.apply(variables, images.swapaxes(1, 2), method="encode_image")


def test_a_shot_encoder(root: Path, tmp_path: Path) -> None:
    workdir = one_step(shot_config(), tmp_path / "shots")
    config, variables = release.load(workdir)
    assert config["inputs"]["image"] == [2, *SPEC.shape]
    encoder = build_shot_encoder(**config["model"]["encoder"])
    own = {name: tree["encoder"] for name, tree in variables.items()}
    stub.run(root, make_opener(str(workdir)), workers=1)
    catalog = Catalog(root)
    table = catalog.embeddings("shot", "shots")
    assert table.num_rows == catalog.shots().num_rows
    keyframes = catalog.items("frame", table["film"][0].as_py())["id"].to_pylist()
    first = [name for name in keyframes if name.startswith(table["id"][0].as_py())]
    chosen = [first[len(first) // 4], first[3 * len(first) // 4]]  # centers of two parts
    images = np.stack([preprocess_eval_image(catalog.jpeg(i), SPEC) for i in chosen])
    expected, _ = jax.jit(encoder.apply)(own, {"image": images[None]})
    np.testing.assert_allclose(table["vector"][0].as_py(), expected[0], rtol=1e-4, atol=1e-5)
