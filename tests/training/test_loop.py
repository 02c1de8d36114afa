"""The loop: exact resume, other device counts, interrupts, non-finite losses, fine-tuning."""

import json

import chex
import jax
import numpy as np
import pytest

from tests.configs import tiny
from vujax.models import release
from vujax.training import logging, loop, setup
from vujax.training.loop import Interrupt
from vujax.utils.mesh import make_mesh

STEPS = 6


@pytest.fixture(autouse=True)
def one_device(monkeypatch):
    use(monkeypatch, 1)


def use(monkeypatch, devices):
    mesh = make_mesh(jax.devices()[:devices])
    monkeypatch.setattr(loop, "make_mesh", lambda: mesh)


def config(**overrides):
    given = tiny(**{"total_steps": STEPS, "log_steps": 1, "checkpoint_steps": 3, **overrides})
    with given.unlocked():
        given.evals = {}
    return given


def losses(workdir):
    return [line["loss"] for line in logging.read_metrics(workdir)]


def stop_after(monkeypatch, step):
    monkeypatch.setattr(Interrupt, "should_stop", lambda self, now: now == step)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("unbroken")
    with pytest.MonkeyPatch.context() as patch:
        use(patch, 1)
        loop.train(config(), workdir)
    return workdir


def test_a_run_leaves_everything_behind(unbroken):
    assert len(losses(unbroken)) == STEPS
    assert all(line["examples_per_s"] > 0 for line in logging.read_metrics(unbroken))
    assert losses(unbroken)[-1] < losses(unbroken)[0]
    facts = json.loads((unbroken / "run.json").read_text())
    assert facts["seed"] == 0 and "jax" in facts["versions"]
    saved, variables = release.load(unbroken)
    assert saved["step"] == STEPS
    assert saved["model"]["embed_dim"] == 16 and "image" in variables["params"]
    assert (unbroken / "report.html").exists()


@pytest.mark.parametrize("step", [3, pytest.param(4, marks=pytest.mark.long)])
def test_resume_is_exact_to_the_last_bit(unbroken, tmp_path, monkeypatch, capsys, step):
    with monkeypatch.context() as patch:
        stop_after(patch, step)
        loop.train(config(), tmp_path)
    assert len(losses(tmp_path)) == step
    assert not (tmp_path / "release").exists()
    assert f"saved step {step}. To resume: python -m vujax.main" in capsys.readouterr().out
    loop.train(config(), tmp_path)
    assert losses(tmp_path) == losses(unbroken)
    chex.assert_trees_all_equal(release.load(tmp_path)[1], release.load(unbroken)[1])


@pytest.mark.long
def test_a_checkpoint_of_eight_devices_goes_on_with_four(unbroken, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        use(patch, 8)
        stop_after(patch, 3)
        loop.train(config(), tmp_path)
    use(monkeypatch, 4)
    loop.train(config(), tmp_path)
    np.testing.assert_allclose(losses(tmp_path), losses(unbroken), rtol=2e-4)


def test_the_step_is_compiled_once(tmp_path, monkeypatch):
    real, traced = setup.build_train_step, []

    def counted(method, *args, **kwargs):
        embed = chex.assert_max_traces(type(method).embed, n=1)
        traced.append(embed)
        monkeypatch.setattr(type(method), "embed", embed)
        return real(method, *args, **kwargs)

    chex.clear_trace_counter()
    monkeypatch.setattr(setup, "build_train_step", counted)
    loop.train(config(), tmp_path)
    assert len(traced) == 1


def test_a_finished_run_is_not_trained_again(unbroken, monkeypatch):
    before = (unbroken / "metrics.jsonl").read_text()
    monkeypatch.setattr(loop, "open_batches", None)  # asking for data would fail
    loop.train(config(), unbroken)
    assert (unbroken / "metrics.jsonl").read_text() == before


def with_retrieval(**overrides):
    given = config(**overrides)
    with given.unlocked():
        source = dict(kind="cinema", split="validation", frames=40, image_size=16)
        given.evals = dict(retrieval=dict(kind="retrieval", source=source, batch_size=16))
    return given


def test_evaluation_alone(unbroken, tmp_path, capsys):
    loop.train(with_retrieval(eval_only=True, init_from=str(unbroken)), tmp_path)
    found = json.loads((tmp_path / "evaluations" / "retrieval-0.json").read_text())
    assert found["metrics"]["images"] == 40 and found["baselines"]["chance"]
    assert "retrieval: " in capsys.readouterr().out
    assert "retrieval" in (tmp_path / "report.html").read_text()
    assert not (tmp_path / "release").exists()


@pytest.mark.long
def test_the_scale_is_fitted_on_held_out_pairs_and_released(unbroken, tmp_path, capsys):
    given = with_retrieval(total_steps=1, init_from=str(unbroken), fit_scale_on="retrieval")
    given.method.update(dict(target="plain", teacher_temperature=1.0, dropout=0.0))
    loop.train(given, tmp_path)
    saved, variables = release.load(tmp_path)
    fitted = saved["fitted_scale"]
    assert fitted["loss"] < fitted["loss_before"] and fitted["pairs"] == 40
    assert 0 <= fitted["ece"] <= 1 and 0 <= fitted["ece_before"] <= 1
    np.testing.assert_allclose(np.exp(variables["params"]["logit_scale"]), fitted["scale"], 1e-5)
    printed = capsys.readouterr().out
    assert "fitted on 40 held-out images of retrieval" in printed
    assert f"calibration error {fitted['ece_before']:.2%} -> {fitted['ece']:.2%})" in printed
    assert "Warning: plain targets of the model itself" in printed


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (
            dict(fit_scale_on="recall"),
            "'recall' is not an evaluation .* expected one of: retrieval",
        ),
        (
            {"method.loss": "sigmoid", "method.unaligned_end": 0.0, "fit_scale_on": "retrieval"},
            "needs a model with a scale and no bias",
        ),
    ],
)
def test_a_scale_that_cannot_be_fitted(overrides, words, tmp_path):
    with pytest.raises(ValueError, match=words):
        loop.train(with_retrieval(**overrides), tmp_path)


def test_nothing_to_evaluate(tmp_path):
    with pytest.raises(FileNotFoundError, match="no checkpoint to evaluate"):
        loop.train(with_retrieval(eval_only=True), tmp_path)
    with pytest.raises(ValueError, match="eval_only needs an evaluation"):
        loop.train(config(eval_only=True), tmp_path)


def test_batch_that_does_not_divide(tmp_path, monkeypatch):
    use(monkeypatch, 8)
    with pytest.raises(ValueError, match="batch_size 36 does not divide among 8 devices"):
        loop.train(config(batch_size=36), tmp_path)


@pytest.mark.long
def test_a_loss_that_is_not_finite_stops_and_saves_nothing(tmp_path, monkeypatch):
    with pytest.raises(FloatingPointError, match="last good checkpoint is the newest in"):
        loop.train(config(**{"optimizer.lr": 1e30, "optimizer.clip_norm": 0.0}), tmp_path)
    steps = [int(path.name) for path in (tmp_path / "checkpoints").iterdir()]
    assert max(steps, default=0) < len(losses(tmp_path)) + 1


@pytest.mark.long
def test_fine_tuning_starts_from_a_release(unbroken, tmp_path):
    given = config(init_from=str(unbroken), total_steps=1, **{"optimizer.lr": 1e-9})
    loop.train(given, tmp_path)
    chex.assert_trees_all_close(
        release.load(tmp_path)[1], release.load(unbroken)[1], rtol=1e-5, atol=1e-7
    )


@pytest.mark.long
def test_frozen_towers_stay_to_the_bit(unbroken, tmp_path):
    given = config(init_from=str(unbroken), total_steps=2)
    given.optimizer.rules = (("image/.*", None), ("text/.*", 0.1), (".*", 1.0))
    loop.train(given, tmp_path)
    new, old = release.load(tmp_path)[1]["params"], release.load(unbroken)[1]["params"]
    chex.assert_trees_all_equal(new["image"], old["image"])
    assert not np.array_equal(new["text"]["token_embedding"], old["text"]["token_embedding"])
