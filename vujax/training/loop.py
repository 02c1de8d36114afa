"""The training loop, one for every method."""

import dataclasses
import math
import platform
import signal
import time
import types
from importlib import metadata
from pathlib import Path
from typing import Any, Self, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh
from ml_collections import ConfigDict

from vujax import evals
from vujax.data.pipeline import TrainBatches
from vujax.evals.scale import FittedScale, PairEvaluator, fit_scale
from vujax.methods import load_spec
from vujax.methods.base import Batch, TrainingData, Tree
from vujax.models import release
from vujax.models.two_towers import MAX_SCALE
from vujax.training import report, resume, setup
from vujax.training.checkpoint import Checkpoints
from vujax.training.config import resolve_duration, to_plain_dict
from vujax.training.logging import MetricLogger, build_resume_command
from vujax.training.memorization import describe_memorization
from vujax.training.step import State
from vujax.utils.io import check_local, write_json
from vujax.utils.mesh import make_global_batch, make_mesh

RESTORE = ("newest", "fallback")
RELEASE_KEYS = ("model", "method", "inputs", "vectors")  # parts of the config in a release
PACKAGES = ("vujax", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "grain", "numpy")


@dataclasses.dataclass
class Run:
    """The parts of one run that the functions below pass on."""

    config: ConfigDict
    workdir: Path
    mesh: Mesh
    parts: setup.TrainingParts
    evaluators: dict[str, evals.Evaluator]
    data: TrainingData

    def resolve_steps(self, prefix: str, default: int) -> int:
        """Return a duration of `config.{prefix}_*` in steps."""
        return resolve_duration(
            prefix,
            self.config,
            batch_size=self.config.batch_size,
            examples=self.data.examples,
            total_steps=self.parts.total_steps,
            default=default,
        )


def train(config: ConfigDict, workdir: Path, *, extend: bool = False) -> None:
    """Train by a config, or resume an interrupted run; the end is `workdir/release`.

    Args:
      config: see configs/.
      workdir: directory of the run; a run in it with the same config is resumed. Settings that
        change no number may differ (see `vujax.training.resume`).
      extend: whether to train a run in `workdir` for more steps than it was started with; the
        schedule is that of the new total from the next step on.

    Raises:
      ValueError: the config contradicts itself, the data, or the run in `workdir`.
      FloatingPointError: the loss or a gradient is not finite.
    """
    check_local(workdir)
    run = open_run(config, workdir)
    warn_of_settings(run)
    checkpoints = Checkpoints(
        run.workdir / "checkpoints", keep_last=config.keep_last, keep_every=config.keep_every
    )
    try:
        resume.record_run(build_start(run, checkpoints.latest_step(), extend))
        state = restore_or_init(run, checkpoints)
        if not config.eval_only:
            state = run_steps(run, checkpoints, state)
        if config.eval_only or int(state.step) == run.parts.total_steps:
            finish_run(run, state)
    finally:
        checkpoints.close()


def open_run(config: ConfigDict, workdir: Path) -> Run:
    """Open the data and the evaluators of a config, and build the parts of its training.

    Raises:
      ValueError: the config contradicts itself or the data.
    """
    if config.get("restore", "newest") not in RESTORE:
        expected = ", ".join(RESTORE)
        raise ValueError(f"unknown restore '{config.restore}'; expected one of: {expected}")
    if config.eval_only and not config.evals:
        raise ValueError("eval_only needs an evaluation: the config's evals is empty")
    mesh = make_mesh()
    data = load_spec(config).open_data(config)
    parts = setup.build_parts(config, mesh, examples=data.examples)
    parent = config.get("init_from", "")
    evaluators = {
        name: evals.build_evaluator(
            name, settings.to_dict(), model=parts.model, mesh=mesh, parent=parent
        )
        for name, settings in config.evals.items()
    }
    return Run(config, Path(workdir), mesh, parts, evaluators, data)


def warn_of_settings(run: Run) -> None:
    """Print a warning for each setting of the method that cannot help.

    Raises:
      ValueError: `config.fit_scale_on` asks for what this training cannot give.
    """
    check_scale_fit(run)
    review = getattr(run.parts.method, "review", None)  # few methods have one
    if review is not None and jax.process_index() == 0:
        for sentence in review():
            print(f"Warning: {sentence}")


def check_scale_fit(run: Run) -> None:
    """Check that the evaluation of `config.fit_scale_on` has pairs, and the model a scale.

    Raises:
      ValueError: it has not.
    """
    name = run.config.get("fit_scale_on", "")
    params = run.parts.state.params
    if not name:
        return
    known = [n for n, evaluator in run.evaluators.items() if hasattr(evaluator, "embed")]
    if name not in known:
        raise ValueError(
            f"fit_scale_on '{name}' is not an evaluation of held-out pairs; expected one of: "
            f"{', '.join(known) or 'none: add a retrieval evaluation to evals'}"
        )
    if "logit_scale" not in params or "logit_bias" in params:
        raise ValueError(
            "fit_scale_on needs a model with a scale and no bias, trained with method.loss "
            "'softmax': set fit_scale_on to ''"
        )


def build_start(run: Run, saved_step: int | None, extend: bool) -> resume.Start:
    """Return what `resume.record_run` compares with the run in the workdir."""
    return resume.Start(
        run.workdir,
        run.config,
        collect_facts(run),
        saved_step,
        extend,
        has_batch_norm="batch_stats" in run.parts.state.aux,
        read_batch=lambda hosts: read_first_batch(run, hosts),
    )


def read_first_batch(run: Run, hosts: int) -> Batch:
    """Return the rows of host 0 among `hosts` of the batch of step 0."""
    batches = open_batches(run, 0, host=0, hosts=hosts)
    try:
        return next(batches)
    finally:
        batches.close()


def collect_facts(run: Run) -> dict[str, Any]:
    """Return what is needed to repeat the run: command, versions, seed, machine, sizes."""
    return {
        "command": build_resume_command(),
        "versions": {"python": platform.python_version()}
        | {name: metadata.version(name) for name in PACKAGES},
        "seed": run.config.seed,
        "devices": f"{run.mesh.size} x {run.mesh.devices.flat[0].device_kind}",
        "hosts": jax.process_count(),
        "examples": run.data.examples,
        "total_steps": run.parts.total_steps,
        "parameters": sum(x.size for x in jax.tree.leaves(run.parts.state.params)),
    }


def restore_or_init(run: Run, checkpoints: Checkpoints) -> State:
    """Return the newest checkpoint, else a new state, from `config.init_from` if it is set."""
    if checkpoints.latest_step() is not None:
        fallback = run.config.get("restore", "newest") == "fallback"
        return checkpoints.restore(run.parts.state, fallback=fallback)
    state = setup.create_state(run.parts, run.config.seed)
    if run.config.init_from:
        return init_from_pretrained(run, state)
    if run.config.eval_only:
        raise FileNotFoundError(
            f"{run.workdir} holds no checkpoint to evaluate: train there first, or name a "
            "model in init_from"
        )
    return state


def init_from_pretrained(run: Run, state: State) -> State:
    """Return the state with weights and batch-norm statistics of the model in `config.init_from`.

    The optimizer starts from zero; the method decides which of its aux state follows the weights
    (`Method.init_from_pretrained`).
    """
    own = {"params": state.params}
    own |= {name: state.aux[name] for name in ("batch_stats",) if name in state.aux}
    path, fresh = Path(run.config.init_from), tuple(run.config.init_fresh)
    renamed = tuple(run.config.get("init_part", ()))
    start = {
        name: release.init_from_release(path, tree, fresh, name, renamed)
        for name, tree in own.items()
    }
    aux = run.parts.method.init_from_pretrained(state.aux, start)
    average = None if state.average is None else start["params"]
    new = state.replace(params=start["params"], aux=aux, average=average)
    return jax.tree.map(_copy_to_device, new, run.parts.state)


def _copy_to_device(leaf: jax.Array | np.ndarray, like: jax.ShapeDtypeStruct) -> jax.Array:
    """Copy into a buffer of its own: the step donates its state, and no buffer twice."""
    if isinstance(leaf, np.ndarray):
        return jax.device_put(leaf, like.sharding)
    return jnp.copy(leaf)


def open_batches(run: Run, start_step: int, host: int, hosts: int) -> TrainBatches:
    """Open a host's rows of the batches of steps `start_step`, `start_step + 1`, ..."""
    return run.data.train_batches(
        batch_size=run.config.batch_size,
        seed=run.config.seed,
        start_step=start_step,
        host=host,
        hosts=hosts,
    )


def run_steps(run: Run, checkpoints: Checkpoints, state: State) -> State:
    """Train until the end or an interrupt, with checkpoints, evaluations and reports."""
    start, total = int(state.step), run.parts.total_steps
    if start >= total:
        return state
    save_every = run.resolve_steps("checkpoint", total)
    eval_every = run.resolve_steps("eval", total)
    batches = open_batches(run, start, jax.process_index(), jax.process_count())
    logger = MetricLogger(
        run.workdir,
        run.parts,
        every=run.config.log_steps,
        start_step=start,
        check_bad=batches.bad.check,
    )
    try:
        with Interrupt() as interrupt:
            for step in range(start + 1, total + 1):
                waiting_since = time.monotonic()
                rows = next(batches)
                batch = make_global_batch(run.mesh, rows)
                logger.meter.add_wait(time.monotonic() - waiting_since)
                if step == 1:
                    resume.record_batch(run.workdir, rows)
                state, metrics = run.parts.step(state, batch)
                logger.log(step, metrics, batch)
                stop = interrupt.should_stop(step)
                if stop or step == total or step % save_every == 0:
                    logger.flush()  # a state that is not finite is never saved
                    checkpoints.save(step, state)
                if stop:
                    command = build_resume_command()
                    logger.progress.print(f"Interrupted: saved step {step}. To resume: {command}")
                    break
                if step < total and step % eval_every == 0:
                    evaluate(run, state)
        checkpoints.wait()
    finally:
        batches.close()
        logger.close()
    return state


def select_variables(state: State) -> Tree:
    """Return the variables for evaluations and releases: averaged parameters if there are any."""
    params = state.params if state.average is None else state.average
    rest = {k: v for k, v in state.aux.items() if k == "batch_stats"}
    return {"params": params} | rest


def evaluate(run: Run, state: State) -> dict[str, dict[str, float]]:
    """Run every evaluation of the config; write a JSON file each, and the HTML report."""
    step, results = int(state.step), {}
    for name, evaluator in run.evaluators.items():
        results[name] = evaluator(select_variables(state))
        if jax.process_index() == 0:
            record = {"step": step, "name": name, "metrics": results[name]}
            record["baselines"] = evaluator.baselines
            write_json(run.workdir / "evaluations" / f"{name}-{step}.json", record)
    if jax.process_index() == 0:
        report.write_report(
            run.workdir,
            title=run.workdir.resolve().name,
            command=build_resume_command(),
            facts=format_facts(collect_facts(run)),
            retrieved=[e for v in run.evaluators.values() for e in v.examples(8)],
        )
        if sentence := describe_memorization(run.workdir):
            print(f"Warning: {sentence}")
    return results


def format_facts(facts: dict[str, Any]) -> dict[str, str]:
    """Return facts as short texts."""
    flat = {k: v for k, v in facts.items() if not isinstance(v, dict)}
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    return {k: f"{v:,}" if isinstance(v, int) else str(v) for k, v in flat.items()} | {
        "versions": versions
    }


def finish_run(run: Run, state: State) -> None:
    """Evaluate, write the release, and print scores and paths."""
    results = evaluate(run, state)
    weights = release.gather_to_host(select_variables(state))
    fitted = None if run.config.eval_only else fit_release_scale(run, select_variables(state))
    if jax.process_index() != 0:
        return
    for name, values in results.items():
        print(f"{name}: {_format_scores(values)}")
        for baseline, scores in run.evaluators[name].baselines.items():
            print(f"  {baseline}: {_format_scores(scores)}")
    if not run.config.eval_only:
        parent = run.config.get("init_from", "")
        config = build_release_config(run.config, int(state.step), run.data)
        if fitted is not None:
            config |= {"fitted_scale": fitted._asdict()}
            scale = {"logit_scale": np.float32(math.log(fitted.scale))}
            weights = weights | {"params": weights["params"] | scale}
            print(
                f"Scale: {fitted.scale:.4g}, fitted on {fitted.pairs:,} held-out images of "
                f"{run.config.fit_scale_on} (held-out loss {fitted.loss_before:.4g} -> "
                f"{fitted.loss:.4g}, calibration error {fitted.ece_before:.2%} -> "
                f"{fitted.ece:.2%})"
            )
        print(f"Model: {release.save(run.workdir, config, weights, parent)}")
    print(f"Report: {run.workdir / 'report.html'}")


def fit_release_scale(run: Run, variables: Tree) -> FittedScale | None:
    """Fit the scale on the held-out pairs of `config.fit_scale_on`; None where it is not set."""
    name = run.config.get("fit_scale_on", "")
    if not name:
        return None
    evaluator = cast(PairEvaluator, run.evaluators[name])  # by check_scale_fit
    images, texts = evaluator.embed(variables)
    bound = getattr(run.parts.model, "max_scale", None) or MAX_SCALE
    trained = min(math.exp(float(variables["params"]["logit_scale"])), bound)
    return fit_scale(images, texts, evaluator.captions.of_image, trained, max_scale=bound)


def build_release_config(config: ConfigDict, step: int, data: TrainingData) -> dict[str, Any]:
    """Return the config of a release: model, method, inputs, encoder, step and the method's own."""
    plain = to_plain_dict(config)
    released = {name: plain[name] for name in RELEASE_KEYS if name in plain}
    spec = load_spec(config)
    if spec.encoder not in ("", spec.name):  # the encoder of another method serves this model
        released |= {"encoder": spec.encoder}
    if spec.release_config is not None:
        released |= spec.release_config(config, data)
    return released | {"step": step}


def _format_scores(scores: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in scores.items())


class Interrupt:
    """A context in which signals only set a flag that the loop reads.

    In a single process SIGTERM and SIGINT are caught here; a second signal has its usual effect.
    With several processes, JAX's preemption service (started by `jax.distributed.initialize`)
    catches SIGTERM on any host and makes all of them agree on one step.
    """

    def __init__(self) -> None:
        self.is_raised = False
        self._handlers: dict[int, object] = {}

    def __enter__(self) -> Self:
        if jax.process_count() == 1:
            for number in (signal.SIGTERM, signal.SIGINT):
                self._handlers[number] = signal.signal(number, self._catch)
        return self

    def _catch(self, number: int, frame: types.FrameType | None) -> None:
        self.is_raised = True
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers = {}

    def __exit__(self, *error: object) -> None:
        self._restore()

    def should_stop(self, step: int) -> bool:
        """Return True to save and stop after `step`; the answer is the same on every host."""
        if jax.process_count() == 1:
            return self.is_raised
        return multihost_utils.reached_preemption_sync_point(step)
