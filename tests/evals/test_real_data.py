"""Real images: subsets of CIFAR-10 (JPEG) and of pairs with repeated captions."""

import functools

import jax
import numpy as np
import pytest
from flax import linen as nn

from tests.evals.fakes import FakeText
from vujax.evals import build_evaluator
from vujax.evals.features import image_encoder
from vujax.evals.histogram_baseline import color_histogram
from vujax.evals.logistic import Standardizer, fit_softmax
from vujax.evals.metrics.bootstrap import wilson_interval
from vujax.evals.reader import Reader
from vujax.models import build_clip
from vujax.models.image_spec import ImageSpec

pytestmark = pytest.mark.real_data


class Colours(nn.Module):
    """Colour histograms of a picture's quarters as features."""

    image_spec: ImageSpec = ImageSpec.square(32)
    text: FakeText = FakeText()

    def encode_image(self, image: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        quarters = image.reshape(-1, 2, 16, 2, 16, 3).swapaxes(2, 3).reshape(-1, 16, 16, 3)
        features = color_histogram(quarters).reshape(len(image), -1)
        return features, {"pooled": features}


def cifar10(data_root, split):
    folder = data_root / "classes/cifar10"
    return {
        "kind": "webdataset",
        "path": str(folder / f"*{split}*.tar"),
        "classes": str(folder / "classes.json"),
    }


@functools.cache
def random_clip():
    """Build an untrained ViT for 32 px, without the seconds that compiling `init` takes."""
    model = build_clip(
        image={"kind": "vit", "variant": "Ti/8", "image_size": 32, "layers": 1},
        text={"width": 64, "layers": 1, "heads": 1, "context": 16},
        embed_dim=32,
    )
    image, tokens = np.zeros((1, 32, 32, 3), np.uint8), np.zeros((1, 16), np.int32)
    shapes = jax.eval_shape(model.init, jax.random.key(0), image, tokens)
    rng = np.random.default_rng(0)
    return model, jax.tree.map(lambda x: np.float32(rng.normal(0, 0.02, x.shape)), shapes)


def test_zero_shot_of_an_untrained_model_is_near_chance(data_root, mesh8):
    model, variables = random_clip()
    config = {"kind": "zero_shot", "source": cifar10(data_root, "test")}
    evaluator = build_evaluator("cifar10", config, model=model, mesh=mesh8)
    scores = evaluator(variables)
    assert (scores["classes"], scores["examples"]) == (10, 2500)
    assert 0.05 < scores["top1"] < 0.2  # ten classes: .1, with a deviation of .006 if independent
    assert 0.4 < scores["top5"] < 0.6
    assert evaluator.baselines["constant"]["top1"] == pytest.approx(0.1)


def test_linear_probe_of_colours_beats_chance(data_root, mesh1):
    train, test = cifar10(data_root, "train"), cifar10(data_root, "test")
    config = {"kind": "probe", "train": train, "source": test, "grid": (0.03, 0.1, 0.3)}
    probe = build_evaluator("probe", config, model=Colours(), mesh=mesh1)
    scores = probe({})
    assert scores["top1"] > 0.25
    low, high = wilson_interval(scores["top1"] * 2500, 2500)[1:]
    assert low > probe.baselines["chance"]["top1"]
    assert high - low < 0.04


@pytest.mark.parity
def test_probe_of_colours_equals_scikit_learn(data_root, mesh1):
    from sklearn.linear_model import LogisticRegression

    readers = [Reader(cifar10(data_root, part), Colours(), mesh1) for part in ("train", "test")]
    encode = image_encoder(Colours())
    (features, labels), (test, test_labels) = (r.embed_labeled(encode, {}) for r in readers)
    scale = Standardizer.fit(features)
    theirs = LogisticRegression(C=1 / (0.1 * len(labels)), max_iter=2000).fit(
        scale(features), labels
    )
    ours = fit_softmax(scale(features), labels, classes=10, l2=0.1, mesh=mesh1)
    expected = theirs.score(scale(test), test_labels)
    assert ours.accuracy(scale(test), test_labels) == pytest.approx(expected, abs=0.004)


def test_retrieval_of_repeated_captions(data_root, mesh8):
    model, variables = random_clip()
    pairs = {"kind": "webdataset", "path": str(data_root / "pairs/emoji-google-*.tar")}
    evaluator = build_evaluator(
        "r", {"kind": "retrieval", "source": pairs}, model=model, mesh=mesh8
    )
    scores = evaluator(variables)
    assert scores["images"] == scores["captions"] == 1911
    chance, ceiling = evaluator.baselines["chance"], evaluator.baselines["ceiling"]
    assert chance["mean_recall"] < ceiling["mean_recall"] == 1.0
    for name in ("image_to_text/R@10", "text_to_image/R@10"):
        assert scores[name] == pytest.approx(chance[name], abs=0.01)
    assert len(evaluator.examples(4)) == 4


def test_colour_neighbours_find_some_captions(data_root, mesh8):
    folder = data_root / "pairs/fashion-train-00000.tar"
    parts = [
        {
            "kind": "webdataset",
            "path": str(folder),
            "hold_out": {"field": "id", "modulo": 10, "remainder": 1, "part": part},
        }
        for part in ("train", "validation")
    ]
    model, variables = random_clip()
    config = {"kind": "retrieval", "source": parts[1], "histogram": parts[0]}
    evaluator = build_evaluator("r", config, model=model, mesh=mesh8)
    evaluator(variables)
    rows = evaluator.baselines
    for direction in ("image_to_text", "text_to_image"):
        name = f"{direction}/R@10"
        assert 2 * rows["chance"][name] < rows["histogram"][name] < rows["ceiling"][name]
    assert rows["ceiling"]["text_to_image/exact/R@1"] < 1.0  # captions repeat
