"""The comparison of PSD on frozen features: fair tries, controlled noise, the method's own loss."""

import io
import json
import runpy
import tarfile
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from tests.configs import ROOT
from vujax.data.captions import EmbeddingPairs
from vujax.data.feature_pairs import FeaturePairs
from vujax.data.sources import open_source
from vujax.methods.base import Embeddings, StepContext
from vujax.methods.distill import Distill
from vujax.models.feature_towers import build_feature_towers

SCRIPT = runpy.run_path(str(ROOT / "experiments" / "psd_features.py"))
DATA, DEFINED, METHODS = SCRIPT["DATA"], SCRIPT["DEFINED"], SCRIPT["METHODS"]
EMOJI = runpy.run_path(str(ROOT / "experiments" / "psd_features_emoji.py"))
N, CLASSES, FACTS = 40, 4, 3


def make_pool():
    rng = np.random.default_rng(0)
    image_facts = np.concatenate([np.eye(FACTS)[np.arange(N) % FACTS], np.ones((N, 1))], axis=1)
    text_facts = image_facts * np.array([1.0] * FACTS + [-1.0])
    return DATA["Pool"](
        images=rng.normal(size=(N, 8)).astype(np.float32),
        texts=np.arange(N, dtype=np.float32)[:, None].repeat(6, axis=1),
        captions=np.array([f"name {i}" for i in range(N)]),
        classes=np.arange(N) % CLASSES,
        image_facts=image_facts.astype(np.float32),
        text_facts=text_facts.astype(np.float32),
        class_texts=np.zeros((CLASSES, 6), np.float32),
        generic_captions=np.array(["an image", "a still"]),
        generic_texts=np.full((2, 6), -1.0, np.float32),
    )


def test_every_method_has_as_many_tries_and_the_control_is_in_every_block():
    assert {len(setting.tries) for setting in METHODS.values()} == {6}
    for block in SCRIPT["BLOCKS"]:
        for point in SCRIPT["points"](block):
            assert SCRIPT["CONTROL"] in point["methods"]
            assert set(point["methods"]) <= set(SCRIPT["KNOWN"])
    assert not set(SCRIPT["SEEDS"]) & set(SCRIPT["TUNING_SEEDS"])
    for data, methods in (*((data, METHODS) for data in SCRIPT["OTHERS"]), ("", SCRIPT["FAULTY"])):
        assert {len(SCRIPT["select_tries"](data, method)) for method in methods} == {3}


@pytest.mark.parametrize("kind", DATA["NOISE"])
def test_noise_is_exact_and_moves_captions_as_it_says(kind: str):
    pool = make_pool()
    noisy, wrong = DATA["add_noise"](pool, kind, 0.5, 3)
    changed = noisy.captions != pool.captions
    assert (changed == wrong).all() and 0 < wrong.sum() <= N // 2
    if kind == "generic":
        assert (noisy.texts[wrong] == -1).all() and (noisy.text_facts[wrong] == 0).all()
        return
    donors = noisy.texts[:, 0].astype(int)
    assert sorted(donors) == list(range(N))
    assert (noisy.captions == pool.captions[donors]).all()
    same_class = pool.classes[donors] == pool.classes
    assert same_class.all() == (kind == "within class")


def test_no_noise_leaves_the_pairs_alone():
    pool = make_pool()
    noisy, wrong = DATA["add_noise"](pool, "shuffled", 0.0, 0)
    assert not wrong.any() and (noisy.texts == pool.texts).all()


def test_traced_numbers_give_the_loss_of_the_method():
    rng = np.random.default_rng(1)
    rows = [rng.normal(size=(16, 8)).astype(np.float32) for _ in range(4)]
    image, text, *teacher = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in rows)
    embeddings = Embeddings(
        {"image": image, "text": text, "teacher": tuple(teacher)}, {"scale": jnp.float32(14.3)}
    )
    context = StepContext(jax.random.key(0), jnp.float32(0.6))
    options = {k: v for k, v in METHODS["PSD"].options.items() if k != "soft"}
    plain = Distill(model=None, unaligned_end=0.7, dropout=0.1, **options)

    @jax.jit
    def traced(share):
        method = DEFINED["TracedDistill"](
            model=None, unaligned_end=share, dropout=0.1, soft=True, **options
        )
        return method.objective(embeddings, {}, context)[0]

    assert float(traced(0.7)) == pytest.approx(float(plain.objective(embeddings, {}, context)[0]))
    assert float(traced(0.0)) != pytest.approx(float(traced(0.7)), rel=1e-3)


def test_known_facts_are_zero_exactly_where_a_caption_fits():
    pool = make_pool()
    fits = pool.text_facts @ pool.image_facts.T == 0
    kinds = np.arange(N) % FACTS
    assert (fits == (kinds[:, None] == kinds)).all()


@pytest.mark.long
def test_the_teacher_of_known_alignments_is_the_truth():
    pool, context = make_pool(), StepContext(jax.random.key(0), jnp.float32(0.5))
    batch = {
        "image": pool.images,
        "tokens": pool.texts,
        "index": np.arange(N),
        "image_facts": pool.image_facts,
        "text_facts": pool.text_facts,
    }
    setting = METHODS["multi-positive oracle"]
    model = build_feature_towers(image_dim=8, text_dim=6, hidden=8, embed_dim=8)
    method = setting.kind(model=model, dropout=0.1, unaligned_end=1.0, **setting.options)
    params, aux = method.init(jax.random.key(0), batch)
    embeddings = method.embed(params, aux, batch, context)
    image, text = embeddings.rows["teacher"]
    assert image.shape == text.shape == embeddings.rows["image"].shape
    fits = pool.image_facts @ pool.text_facts.T
    np.testing.assert_allclose(image @ text.T, fits)
    assert np.isfinite(method.objective(embeddings, aux, context)[0])


def test_neighbors_add_their_cosines_to_the_logits_and_leave_the_student_alone():
    pool, context = make_pool(), StepContext(jax.random.key(0), jnp.float32(0.5))
    batch = {"image": pool.images, "tokens": pool.texts + pool.images[:, :6]}
    batch["index"] = np.arange(N)
    model = build_feature_towers(image_dim=8, text_dim=6, hidden=8, embed_dim=8)
    setting = SCRIPT["KNOWN"]["PSD + texts"]
    options = dict(model=model, dropout=0.1, unaligned_end=0.9, **setting.options)
    method = setting.kind(neighbor_weight=5.0, **options)
    params, aux = method.init(jax.random.key(0), batch)
    (rows, shared), found = (
        m.embed(params, aux, batch, context)
        for m in (
            DEFINED["TracedDistill"](**{k: options[k] for k in options if k != "side"}),
            method,
        )
    )
    multiplier = float(shared["scale"]) / options["teacher_temperature"]
    unit = batch["tokens"] / np.linalg.norm(batch["tokens"], axis=1, keepdims=True)
    before, after = (multiplier * t[0] @ t[1].T for t in (rows["teacher"], found.rows["teacher"]))
    np.testing.assert_allclose(after, before + 5 * unit @ unit.T, atol=1e-4)
    student = [r["image"] @ r["text"].T for r in (rows, found.rows)]
    np.testing.assert_allclose(student[0], student[1], atol=1e-6)
    assert np.isfinite(method.objective(found, aux, context)[0])


def test_grouped_pairs_have_a_text_for_each_different_caption():
    pool = make_pool()
    pool = pool._replace(captions=np.where(np.arange(N) < 10, "Name 0", pool.captions))
    texts = np.arange(N)[:, None] * np.ones((1, 8), np.float32)
    found = DATA["group_pairs"](pool, (pool.images, texts))
    assert len(found["texts"]) == N - 9 and (found["of_image"][:10] == found["of_image"][0]).all()
    assert (found["texts"][found["of_image"][20:, 0], 0] == np.arange(20, N)).all()


def test_classes_of_tiny_imagenet_are_names_and_not_codes(monkeypatch, tmp_path):
    folder = tmp_path / "classes" / "tinyimagenet"
    folder.mkdir(parents=True)
    for shard, names in enumerate((("tabby", "limousine"), ("tabby", "goldfish"))):
        with tarfile.open(folder / f"tinyimagenet-train-0000{shard}.tar", "w") as file:
            for i, name in enumerate(8 * names):
                add_sample(file, f"tin-{shard}-{i}", name, {"wnid": f"n0000000{len(name)}"})
    texts = []

    def encode(given):
        texts.append(list(given))
        return np.zeros((len(given), 3), np.float32)

    def open_pairs(sources, *_, **__):
        source = open_source(**sources["main"])
        records = [source[i] for i in range(len(source))]
        captions, keys = ([r[field] for r in records] for field in ("captions", "key"))
        images = np.eye(len(keys), dtype=np.float32)
        pairs = EmbeddingPairs(images, tuple(map(tuple, captions)), tuple(keys), "lite")
        return FeaturePairs(pairs, np.zeros((len(keys), 3), np.float32))

    prepare = DATA["prepare_tinyimagenet"]
    frozen = types.SimpleNamespace(encode=encode)
    monkeypatch.setitem(prepare.__globals__, "open_frozen_texts", lambda _: frozen)
    monkeypatch.setitem(prepare.__globals__, "open_feature_pairs", open_pairs)
    monkeypatch.setenv("VUJAX_DATA", str(tmp_path))
    arrays = prepare("unused")
    assert texts[0] == ["goldfish", "limousine", "tabby"]
    assert [texts[0][row] for row in arrays["classes"]] == list(arrays["captions"])


def add_sample(file, key, caption, about):
    picture = io.BytesIO()
    Image.new("RGB", (4, 4)).save(picture, "PNG")
    parts = {"png": picture.getvalue(), "txt": caption.encode(), "json": json.dumps(about).encode()}
    for suffix, data in parts.items():
        member = tarfile.TarInfo(f"{key}.{suffix}")
        member.size = len(data)
        file.addfile(member, io.BytesIO(data))


def test_emoji_codes_and_pictures():
    assert EMOJI["normalize_code"]("2764-FE0F-200D-1F525") == "2764-200d-1f525"
    out = io.BytesIO()
    Image.new("RGBA", (4, 4), (255, 0, 0, 0)).save(out, "PNG")
    shown = Image.open(io.BytesIO(EMOJI["render"](out.getvalue())))
    assert shown.size == (72, 72) and shown.getpixel((9, 9)) == (255, 255, 255)
    with pytest.raises(FileNotFoundError, match=r"openmoji-\*.tgz is missing"):
        list(EMOJI["read_style"]("openmoji", ROOT))


def test_scores_of_perfect_and_of_mixed_embeddings():
    pool, names = make_pool(), np.eye(CLASSES, N, dtype=np.float32)
    perfect = DATA["score"](pool, np.eye(N), np.eye(N), names)
    assert perfect["recall"] == 1.0
    mixed = DATA["score"](pool, np.eye(N), np.roll(np.eye(N), N // 2, axis=0), names)
    assert mixed["recall"] < 0.3


def test_an_order_has_complete_epochs():
    order = SCRIPT["draw_order"](np.arange(600), 4, 0)
    assert order.shape == (4, 256)
    assert len(np.unique(order[:2])) == len(np.unique(order[2:])) == 512
    assert (order != SCRIPT["draw_order"](np.arange(600), 4, 1)).any()


def test_training_from_scratch_has_the_oracle_only_where_names_are_wrong():
    scratch = runpy.run_path(str(ROOT / "experiments" / "psd_from_scratch.py"))
    points = list(scratch["points"]())
    assert len(points) == 14
    assert {name for name, noise, _ in points if not noise} == {"CLIP, dropout", "PSD .7", "PSD .9"}
    labels = np.arange(100)
    noisy = scratch["shuffle"](labels, 0.4, 0)
    assert (noisy != labels).sum() == 40 and sorted(noisy) == list(labels)
