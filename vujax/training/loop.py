"""The training loop, one for every method."""

import dataclasses
import json
import platform
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
from jax.sharding import Mesh

from vujax import evals
from vujax.data.pipeline import TrainBatches
from vujax.methods import spec_of
from vujax.methods.base import Data
from vujax.models import release
from vujax.training import report, setup
from vujax.training.checkpoint import Checkpoints
from vujax.training.config import differences, duration, plain
from vujax.training.logging import Watch, command
from vujax.training.preemption import Interrupt
from vujax.training.step import State
from vujax.utils.io import write_json
from vujax.utils.mesh import make_global_batch, make_mesh

Tree = Any
# What may differ when a run is taken up again: it does not change the trained numbers.
FREE = ("eval_only", "evals", "eval_", "log_steps", "checkpoint", "keep_", "data.workers")
RELEASED = ("model", "method", "inputs", "vectors")  # what the release says of the config
PACKAGES = ("vujax", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "grain", "numpy")


@dataclasses.dataclass
class Run:
    """The parts of one run that the functions below pass on."""

    config: ml_collections.ConfigDict
    workdir: Path
    mesh: Mesh
    parts: setup.Parts
    evaluators: dict[str, evals.Evaluator]
    data: Data

    def steps(self, prefix: str, default: int) -> int:
        """A duration of `config.{prefix}_*` in steps."""
        return duration(
            prefix,
            self.config,
            batch_size=self.config.batch_size,
            examples=self.data.examples,
            total_steps=self.parts.total_steps,
            default=default,
        )


def train(config: ml_collections.ConfigDict, workdir: Path) -> None:
    """Trains as `config` says, or takes an interrupted run up again; ends with `workdir/release`.

    Raises:
      ValueError: the config contradicts itself, the data, or the run that `workdir` holds.
      FloatingPointError: the loss or a gradient is not finite.
    """
    mesh = make_mesh()
    data = spec_of(config).open_data(config)
    parts = setup.make_parts(config, mesh, examples=data.examples)
    parent = config.get("init_from", "")
    evaluators = {
        name: evals.build_evaluator(
            name, settings.to_dict(), model=parts.model, mesh=mesh, parent=parent
        )
        for name, settings in config.evals.items()
    }
    this = Run(config, Path(workdir), mesh, parts, evaluators, data)
    record(this)
    checkpoints = Checkpoints(
        this.workdir / "checkpoints",
        keep_last=config.keep_last,
        keep_every=config.keep_every,
    )
    try:
        state = start(this, checkpoints)
        if not config.eval_only:
            state = run_steps(this, checkpoints, state)
        if config.eval_only or int(state.step) == parts.total_steps:
            finish(this, state)
    finally:
        checkpoints.close()


def record(this: Run) -> None:
    """Writes config.json and run.json, or checks that the run in the workdir is this one."""
    path, config = this.workdir / "config.json", plain(this.config)
    if path.exists():
        changed = differences(json.loads(path.read_text()), config)
        if changed := [line for line in changed if not line.startswith(FREE)]:
            raise ValueError(
                f"{this.workdir} holds a run with another config ({'; '.join(changed[:5])}): "
                "choose another --workdir, or the same values"
            )
    if jax.process_index() == 0:
        write_json(path, config)
        write_json(this.workdir / "run.json", facts(this))


def facts(this: Run) -> dict[str, Any]:
    """What a reader needs to repeat the run: command, versions, seed, machine, sizes."""
    return {
        "command": command(),
        "versions": {"python": platform.python_version()}
        | {name: metadata.version(name) for name in PACKAGES},
        "seed": this.config.seed,
        "devices": f"{this.mesh.size} x {this.mesh.devices.flat[0].device_kind}",
        "hosts": jax.process_count(),
        "examples": this.data.examples,
        "total_steps": this.parts.total_steps,
        "parameters": sum(x.size for x in jax.tree.leaves(this.parts.state.params)),
    }


def start(this: Run, checkpoints: Checkpoints) -> State:
    """The newest checkpoint, else a new state, from a released model if the config names one."""
    if checkpoints.latest() is not None:
        return checkpoints.restore(this.parts.state)
    state = setup.new_state(this.parts, this.config.seed)
    if not this.config.init_from:
        if this.config.eval_only:
            raise FileNotFoundError(
                f"{this.workdir} holds no checkpoint to evaluate: train there first, or name a "
                "model in init_from"
            )
        return state
    return released(this, state)


def released(this: Run, state: State) -> State:
    """The state with the weights, and batch norms' statistics, of the model in `config.init_from`.

    A new optimizer; the method says what else of the state follows the weights (`Method.begin`).
    """
    own = {"params": state.params}
    own |= {name: state.extra[name] for name in ("batch_stats",) if name in state.extra}
    path, fresh = Path(this.config.init_from), tuple(this.config.init_fresh)
    moved = tuple(this.config.get("init_part", ()))
    start = {n: release.init_from_release(path, tree, fresh, n, moved) for n, tree in own.items()}
    extra = this.parts.method.begin(state.extra, start)
    average = None if state.average is None else start["params"]
    new = state.replace(params=start["params"], extra=extra, average=average)
    return jax.tree.map(_own, new, this.parts.state)


def _own(leaf: jax.Array | np.ndarray, to: jax.ShapeDtypeStruct) -> jax.Array:
    """In a buffer of its own: the step donates its state, and one cannot be donated twice."""
    if isinstance(leaf, np.ndarray):
        return jax.device_put(leaf, to.sharding)
    return jnp.copy(leaf)


def batches(this: Run, start_step: int) -> TrainBatches:
    """This host's rows of the batches of steps `start_step`, `start_step + 1`, ..."""
    return this.data.train_batches(
        batch_size=this.config.batch_size,
        seed=this.config.seed,
        start_step=start_step,
        host=jax.process_index(),
        hosts=jax.process_count(),
    )


def run_steps(this: Run, checkpoints: Checkpoints, state: State) -> State:
    """Steps until the end or an interrupt; saves, evaluates and reports on the way."""
    first, total = int(state.step), this.parts.total_steps
    if first >= total:
        return state
    save_every = this.steps("checkpoint", total)
    eval_every = this.steps("eval", total)
    source = batches(this, first)
    watch = Watch(
        this.workdir,
        this.parts,
        every=this.config.log_steps,
        first=first,
        check_bad=source.bad.check,
    )
    try:
        with Interrupt() as interrupt:
            for step in range(first + 1, total + 1):
                began = time.monotonic()
                batch = make_global_batch(this.mesh, next(source))
                watch.meter.waited(time.monotonic() - began, this.config.batch_size)
                state, scalars = this.parts.step(state, batch)
                watch.see(step, scalars, batch)
                stop = interrupt.asked(step)
                if stop or step == total or step % save_every == 0:
                    watch.settle()  # nothing that is not finite is ever saved
                    checkpoints.save(step, state)
                if stop:
                    watch.progress.say(f"Interrupted: saved step {step}. To go on: {command()}")
                    break
                if step < total and step % eval_every == 0:
                    evaluate(this, state)
        checkpoints.wait()
    finally:
        source.close()
        watch.close()
    return state


def variables(state: State) -> Tree:
    """What evaluations and releases use: averaged parameters if there are any."""
    params = state.params if state.average is None else state.average
    rest = {k: v for k, v in state.extra.items() if k == "batch_stats"}
    return {"params": params} | rest


def evaluate(this: Run, state: State) -> dict[str, dict[str, float]]:
    """Every evaluation of the config at this state: a JSON file each, and the page for people."""
    step, results = int(state.step), {}
    for name, evaluator in this.evaluators.items():
        results[name] = evaluator(variables(state))
        if jax.process_index() == 0:
            found = {"step": step, "name": name, "metrics": results[name]}
            found["baselines"] = evaluator.baselines
            write_json(this.workdir / "evaluations" / f"{name}-{step}.json", found)
    if jax.process_index() == 0:
        report.write_report(
            this.workdir,
            title=this.workdir.resolve().name,
            command=command(),
            facts=readable(facts(this)),
            retrieved=[e for v in this.evaluators.values() for e in v.examples(8)],
        )
    return results


def readable(facts: dict[str, Any]) -> dict[str, str]:
    """Facts as short texts."""
    flat = {k: v for k, v in facts.items() if not isinstance(v, dict)}
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    return {k: f"{v:,}" if isinstance(v, int) else str(v) for k, v in flat.items()} | {
        "versions": versions
    }


def finish(this: Run, state: State) -> None:
    """Evaluates, writes the release, and says what came out and where it is."""
    results = evaluate(this, state)
    weights = release.gather_to_host(variables(state))
    if jax.process_index() != 0:
        return
    for name, values in results.items():
        print(f"{name}: " + ", ".join(f"{k} {v:.4g}" for k, v in values.items()))
        for baseline, beside in this.evaluators[name].baselines.items():
            print(f"  {baseline}: " + ", ".join(f"{k} {v:.4g}" for k, v in beside.items()))
    if not this.config.eval_only:
        config = plain(this.config)
        kept = {name: config[name] for name in RELEASED if name in config}
        spec = spec_of(this.config)
        if spec.encoder not in ("", spec.name):  # a method whose model another one's encoder serves
            kept |= {"encoder": spec.encoder}
        kept |= {"step": int(state.step)}
        parent = this.config.get("init_from", "")
        print(f"Model: {release.save(this.workdir, kept, weights, parent)}")
    print(f"Report: {this.workdir / 'report.html'}")
