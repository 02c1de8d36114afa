"""The encoder `lite` with its released weights."""

from pathlib import Path

import jax
import numpy as np
import pytest

from tests.encoders.stub import catalogue
from tests.models.pretrained import wheels
from vujax import cli
from vujax.catalog import Catalog, embeddings
from vujax.data.images import preprocess_eval_image
from vujax.encoders import base
from vujax.models import efficientnet
from vujax.models.image_spec import ImageSpec


def test_a_digest_tells_weights_and_settings_apart() -> None:
    one = {"a": np.zeros(2, np.float32), "b": np.ones(3, np.float32)}
    digest = base.compute_digest(one, {"size": 224})
    assert digest == base.compute_digest(dict(reversed(one.items())), {"size": 224})
    others = [
        base.compute_digest(one, {"size": 225}),
        base.compute_digest(one | {"a": np.ones(2, np.float32)}, {"size": 224}),
        base.compute_digest(one | {"a": np.zeros((2, 1), np.float32)}, {"size": 224}),
        base.compute_digest({"a": one["a"]}, {"size": 224}),
    ]
    assert len({digest, *others}) == 5


@pytest.mark.parity
@pytest.mark.multiprocess
def test_vectors_are_the_networks_features(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    tensors = wheels.load("efficientnet-lite0")
    root = catalogue(tmp_path, 1)
    words = ["embed", str(root), "--encoder", "lite", "--batch", "4"]
    assert cli.main(words) == 0
    assert "keyframes/s" in capsys.readouterr().out
    catalog = Catalog(root)
    table = catalog.embeddings("frame", "lite")
    pictures = np.stack(
        [
            preprocess_eval_image(catalog.jpeg(i), ImageSpec.square(224))
            for i in table["id"].to_pylist()
        ]
    )
    variables = efficientnet.from_released(tensors)
    plain, _ = jax.jit(efficientnet.EfficientNetLite0().apply)(variables, pictures)
    np.testing.assert_allclose(embeddings.to_matrix(table), plain, rtol=0, atol=1e-4)
    assert embeddings.to_matrix(catalog.embeddings("shot", "lite")).shape == (3, 1280)
    assert cli.main(["catalog", "check", str(root)]) == 0
    capsys.readouterr()
    assert cli.main(words) == 0
    assert "0; 1 were already done" in capsys.readouterr().out
