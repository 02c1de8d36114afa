"""Fine-tuning, to set beside the frozen probe: a scene encoder and a linear head.

    targets = Targets("class", labels)              # one for each scene
    tuned = finetune(model, variables, scenes, inputs, targets, train=train, evaluated=val)
    tuned.predictions                               # float32 [e c], of the scenes `val`

All weights are trained, for a fixed small number of steps. A fold of the train scenes that shares
no movie with the rest chooses the best step: early stopping without the evaluated scenes.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh

from vujax.data.scene_batches import SceneRows
from vujax.data.scenes import Scenes, SceneSubset
from vujax.evals.folds import split_movie_folds
from vujax.evals.logistic import Standardizer
from vujax.optim import build_optimizer, build_schedule
from vujax.utils.mesh import make_global_batch, make_mesh, replicated_sharding

KINDS = ("class", "tags", "number")


@dataclass(frozen=True, eq=False)
class Targets:
    """The labels of scenes.

    Attributes:
      kind: 'class', one of several; 'tags', any of several; 'number'.
      values: int `[n]` from 0; bool `[n c]`; float `[n]`.

    Raises:
      ValueError: the kind is unknown, or the values have another shape.
    """

    kind: str
    values: np.ndarray

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(
                f"unknown kind of targets {self.kind!r}; expected one of: {', '.join(KINDS)}"
            )
        if self.values.ndim != 1 + (self.kind == "tags"):
            raise ValueError(f"targets of kind {self.kind!r} have shape {self.values.shape}")

    def select(self, index: np.ndarray) -> "Targets":
        """Return the targets of some scenes."""
        return Targets(self.kind, self.values[index])

    @property
    def width(self) -> int:
        """The outputs that a head needs: one for each class or tag, or one."""
        if self.kind == "class":
            return 1 + int(self.values.max())
        return self.values.shape[1] if self.kind == "tags" else 1

    @cached_property
    def scale(self) -> tuple[float, float]:
        """Mean and standard deviation of numbers; the head learns standardized ones."""
        return float(self.values.mean()), float(self.values.std()) or 1.0

    def losses(self, outputs: jax.Array, values: jax.Array) -> jax.Array:
        """Compute the loss of each output: `[... k] -> [...]`.

        Cross-entropy, its mean over the tags, or the squared error of standardized numbers.
        """
        if self.kind == "class":
            return optax.softmax_cross_entropy_with_integer_labels(outputs, values)
        if self.kind == "tags":
            return optax.sigmoid_binary_cross_entropy(outputs, values).mean(-1)
        mean, deviation = self.scale
        return (outputs[..., 0] - (values - mean) / deviation) ** 2

    def predict(self, outputs: np.ndarray) -> np.ndarray:
        """Convert outputs `[n k]` to probabilities of classes or tags, or to numbers."""
        if self.kind == "number":
            return outputs * self.scale[1] + self.scale[0]
        return np.asarray((jax.nn.softmax if self.kind == "class" else jax.nn.sigmoid)(outputs))


class LabeledScenes:
    """Batches of some scenes, on the devices of one process.

    Attributes:
      targets: of these scenes, in their order.
    """

    def __init__(
        self,
        scenes: Scenes,
        inputs: Mapping[str, tuple[int, ...]],
        index: np.ndarray,
        targets: Targets,
        *,
        batch_size: int,
        mesh: Mesh,
        **rows: Any,
    ) -> None:
        """Plan the rows.

        Args:
          scenes: all of a set.
          inputs: see `vujax.data.scene_batches.batch_spec`.
          index: the numbers of these scenes, int `[n]`.
          targets: of all scenes.
          batch_size: rows at once.
          mesh: devices.
          **rows: options of `SceneRows`.

        Raises:
          ValueError: see `SceneRows`.
        """
        some = SceneSubset(scenes, index, int(scenes.lengths.max()), "thin")
        self._rows = SceneRows(some, inputs, **rows)
        self.targets = targets.select(index)
        self._batch_size, self._mesh = batch_size, mesh

    def batches(self, seed: int, steps: int) -> Iterator[dict[str, jax.Array]]:
        """Yield `steps` batches of rows with 'target' `[r s ...]`.

        Targets of empty places are arbitrary.
        """
        batches = self._rows.train_batches(batch_size=self._batch_size, seed=seed)
        with closing(batches):
            for _, batch in zip(range(steps), batches, strict=False):
                target = self.targets.values[batch["scene"]]
                yield make_global_batch(self._mesh, {**batch, "target": target})

    def outputs(self, apply: Callable[..., jax.Array], params: Any) -> np.ndarray:
        """Return `apply(params, batch)` `[r s k]` of each scene, `[n k]` in their order."""
        by_scene: dict[int, np.ndarray] = {}
        with closing(self._rows.eval_batches(batch_size=self._batch_size)) as batches:
            for batch in batches:
                values = np.asarray(apply(params, make_global_batch(self._mesh, batch)))
                is_scene = batch["scene"] >= 0
                by_scene.update(
                    zip(batch["scene"][is_scene].tolist(), values[is_scene], strict=True)
                )
        return np.stack([by_scene[scene] for scene in range(len(by_scene))])


Apply = Callable[[Any, Any], jax.Array]


class FineTuneResult(NamedTuple):
    """The predictions and weights of the best step.

    Attributes:
      predictions: `[e c]` probabilities of classes or of each tag, or `[e 1]` numbers, of the
        evaluated scenes, float32.
      step: number of steps of these weights; 0: training improved nothing.
      losses: by step, of the stopping fold.
      params: 'model' and 'head' of that step.
    """

    predictions: np.ndarray
    step: int
    losses: dict[int, float]
    params: Any


def finetune(
    model: Any,
    variables: Mapping[str, Any],
    scenes: Scenes,
    inputs: Mapping[str, tuple[int, ...]],
    targets: Targets,
    *,
    train: np.ndarray,
    evaluated: np.ndarray,
    steps: int = 200,
    every: int = 20,
    lr: float = 1e-4,
    head_lr: float = 1e-3,
    weight_decay: float = 0.05,
    warmup_steps: int = 10,
    batch_size: int = 8,
    folds: int = 5,
    feature: str | None = None,
    seed: int = 0,
    mesh: Mesh | None = None,
    **rows: Any,
) -> FineTuneResult:
    """Train with AdamW (cosine decay) from `variables`, on the devices of one process.

    The head reads features standardized by their initial statistics over the fitted scenes, and
    starts at zero. Statistics of the model's norms do not change.

    Args:
      model: rows (`vujax.data.scene_batches`) -> (embeddings `[r s d]`, out), such as
        `vujax.models.scene_encoder.SceneViT`.
      variables: its own; only 'params' is trained.
      scenes: see `vujax.data.scenes`.
      inputs: the inputs of each shot, see `vujax.data.scene_batches.batch_spec`.
      targets: of all scenes.
      train: numbers of scenes to learn from, int `[t]`.
      evaluated: numbers of scenes to predict, int `[e]`; they do not affect the training.
      steps: number of steps.
      every: steps between two evaluations of the stopping fold.
      lr: peak learning rate of the model.
      head_lr: of the head.
      weight_decay: of kernels.
      warmup_steps: of the learning rate.
      batch_size: rows at once.
      folds: number of folds of the train scenes, by movie; one of them stops the training.
      feature: of the model's `out`, `[r s d]`, such as 'pooled'; None: the embeddings.
      seed: of the folds, and of the order of scenes.
      mesh: devices; None: one device.
      **rows: `width`, `most`, `buckets` of `SceneRows`.

    Raises:
      ValueError: a scene is trained and evaluated on, or there are fewer movies than folds.
    """
    if both := set(train.tolist()) & set(evaluated.tolist()):
        raise ValueError(
            f"scene {scenes.keys[min(both)]} is both trained on and evaluated; choose one"
        )
    fits = split_movie_folds([scenes.movies[k] for k in scenes.movie[train]], folds, seed)[0]
    mesh = mesh or make_mesh(jax.devices()[:1])
    options = dict(batch_size=batch_size, mesh=mesh) | rows
    fit, stop, test = (
        LabeledScenes(scenes, inputs, index, targets, **options)
        for index in (train[fits], train[~fits], evaluated)
    )
    first, apply = _with_head(model, variables, feature, fit, targets.select(train).width, mesh)
    schedule = dict(total_steps=steps, warmup_steps=warmup_steps, schedule="cosine")
    optimizer = build_optimizer(
        first,
        build_schedule(lr=lr, **schedule),
        rules=(("head/.*", head_lr / lr), (".*", 1.0)),
        weight_decay=weight_decay,
    )
    step_fn = _train_step(apply, fit.targets, optimizer)
    params, state, best, losses = first, optimizer.init(first), first, {}
    losses[0] = _mean_loss(apply, first, fit.targets, stop)
    for step, batch in enumerate(fit.batches(seed, steps), 1):
        params, state = step_fn(params, state, batch)
        if step % every == 0 or step == steps:
            loss = _mean_loss(apply, params, fit.targets, stop)
            best = params if loss < min(losses.values()) else best
            losses[step] = loss
    predictions = fit.targets.predict(test.outputs(apply, best))
    return FineTuneResult(predictions, min(losses, key=losses.get), losses, best)


def _with_head(
    model: Any, variables: Any, feature: str | None, fit: LabeledScenes, width: int, mesh: Mesh
) -> tuple[Any, Apply]:
    """Return the initial weights, and a function (weights, rows) -> `[r s width]`."""
    rest = {name: value for name, value in variables.items() if name != "params"}

    def encode(params: Any, batch: Any) -> jax.Array:
        embeddings, out = model.apply({"params": params, **rest}, batch)
        return embeddings if feature is None else out[feature]

    start = jax.device_put(variables["params"], replicated_sharding(mesh))
    scale = Standardizer.fit(fit.outputs(jax.jit(encode), start))

    def apply(params: Any, batch: Any) -> jax.Array:
        x = scale(encode(params["model"], batch))
        return x @ params["head"]["kernel"] + params["head"]["bias"]

    zeros = np.zeros((len(scale.mean), width), np.float32)
    return {"model": start, "head": {"kernel": zeros, "bias": zeros[0]}}, jax.jit(apply)


def _train_step(
    apply: Apply, targets: Targets, optimizer: optax.GradientTransformation
) -> Callable[..., tuple[Any, Any]]:
    def objective(params: Any, batch: Any) -> jax.Array:
        losses = targets.losses(apply(params, batch), batch["target"])
        is_scene = batch["scene"] >= 0
        return jnp.where(is_scene, losses, 0).sum() / jnp.maximum(is_scene.sum(), 1)

    def step(params: Any, state: Any, batch: Any) -> tuple[Any, Any]:
        updates, state = optimizer.update(jax.grad(objective)(params, batch), state, params)
        return optax.apply_updates(params, updates), state

    return jax.jit(step)


def _mean_loss(apply: Apply, params: Any, targets: Targets, stop: LabeledScenes) -> float:
    loss = float(targets.losses(stop.outputs(apply, params), stop.targets.values).mean())
    return loss if np.isfinite(loss) else np.inf
