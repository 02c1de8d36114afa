"""`vujax embed` and `vujax similar` with the folder of a model."""

import functools
from pathlib import Path

import jax
import numpy as np
import pytest

from tests.encoders import releases
from tests.encoders.stub import catalogue
from tests.encoders.test_levels import divide
from vujax import cli
from vujax.catalog import Catalog, embeddings
from vujax.data.images import preprocess_eval_image
from vujax.models.image_spec import ImageSpec


@pytest.mark.multiprocess
def test_from_the_folder_of_a_model(
    tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = catalogue(tmp_path, 2)
    film = divide(root, 0, [(0, 1), (2, 2)])
    model, variables = releases.image_text(tmp_path / "my run")
    monkeypatch.chdir(tmp_path)
    assert cli.main(["embed", str(root), "--encoder", "my run", "--batch", "4"]) == 0
    assert "2 (2 whole)" in capsys.readouterr().out
    words = ["embed", str(root), "--encoder", "my run/release", "--level", "scene"]
    assert cli.main(words) == 0
    text = capsys.readouterr().out
    assert "2 (1 whole, 1 error)" in text
    assert "it has no scenes: run `vujax scenes`" in text
    assert "keyframes/s" not in text
    assert cli.main([*words, "--strict"]) == 1
    capsys.readouterr()
    catalog = Catalog(root)
    table = catalog.embeddings("frame", "my-run")
    pictures = [
        preprocess_eval_image(catalog.jpeg(i), ImageSpec.square(releases.SIZE))
        for i in table["id"].to_pylist()
    ]
    encode = functools.partial(model.apply, method="encode_image")
    plain, _ = jax.jit(encode)(variables, np.stack(pictures))
    np.testing.assert_allclose(embeddings.to_matrix(table), plain, atol=1e-5)
    assert len(catalog.embeddings("scene", "my-run")) == 2
    assert cli.main(["similar", str(root), f"{film}/c0", "--encoder", "my run"]) == 0
    assert "compared with 1 scene of 1 film, embeddings of my-run-" in capsys.readouterr().out
    assert cli.main(["catalog", "check", str(root)]) == 0


def test_a_mistake_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    root = str(catalogue(tmp_path, 1))
    for words, why in (
        (["embed", root, "--encoder", "no-such"], "unknown encoder 'no-such'"),
        (["embed", root, "--encoder", str(tmp_path)], "is no model"),
        (["similar", root, "nobody@0:01"], "has no film nobody"),
        (
            ["similar", root, f"{Catalog(root).film_ids()[0]}/s0"],
            "has no shot embeddings; compute them with",
        ),
        (["similar", str(tmp_path / "in"), "a/s0"], "is not a vujax catalog"),
    ):
        assert cli.main(words) == 1
        (line,) = capsys.readouterr().err.strip().splitlines()
        assert line.startswith("vujax: error: ") and why in line
