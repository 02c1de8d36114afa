"""What is looked at while a run goes on: each step's scalars, one step late."""

import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np

from vujax import metrics
from vujax.build import Parts


def command() -> str:
    """The command line of this process, which also takes an interrupted run up again."""
    return shlex.join(["python", "-m", "vujax.main", *sys.argv[1:]])


class Watch:
    """Fetches each step's scalars one step late, so that the device never waits for the host."""

    def __init__(
        self,
        workdir: Path,
        parts: Parts,
        *,
        every: int,
        first: int,
        check_bad: Callable[[int, int], None],
    ) -> None:
        """Starts after step `first`; `check_bad(bad, seen)` raises when too many were replaced."""
        self._workdir, self._parts, self._every = workdir, parts, every
        self._check_bad, self._bad, self._seen = check_bad, 0, 0
        self.meter = metrics.Meter()
        leads = jax.process_index() == 0
        self.progress = metrics.Progress(parts.total_steps, first, shown=leads)
        self._writer = metrics.Writer(workdir, first) if leads else None
        self._pending: tuple[int, dict[str, jax.Array], dict[str, jax.Array]] | None = None
        self._alarmed: set[str] = set()

    def see(self, step: int, scalars: dict[str, jax.Array], batch: dict[str, jax.Array]) -> None:
        """Takes a step that was just started; settles the one before."""
        self.settle()
        self._pending = (step, scalars, batch)

    def settle(self) -> None:
        """Waits for the last step seen; checks, warns, writes and shows its scalars.

        Raises:
          FloatingPointError: its loss or gradient norm is not finite.
          ValueError: more samples had to be replaced than the config allows.
        """
        if self._pending is None:
            return
        (step, scalars, batch), self._pending = self._pending, None
        values = {name: float(value) for name, value in jax.device_get(scalars).items()}
        self._check(step, values, batch)
        self._bad += int(values.get("bad_samples", 0))
        self._seen += len(batch["index"])
        self._check_bad(self._bad, self._seen)
        if step % self._every and step != self._parts.total_steps:
            return
        values["bad_samples"] = self._bad
        values["learning_rate"] = float(self._parts.schedule(step - 1))
        values |= self.meter.take()
        if self._writer is not None:
            self._writer.write(step, values)
        self.progress.report(step, values)

    def _check(self, step: int, values: dict[str, float], batch: dict[str, jax.Array]) -> None:
        if not np.isfinite([values["loss"], values["grad_norm"]]).all():
            saved = self._workdir / "checkpoints"
            raise FloatingPointError(
                f"step {step}: loss {values['loss']}, gradient norm {values['grad_norm']}; "
                f"{culprit(batch)}. Nothing of this step was saved; the last good checkpoint is "
                f"the newest in {saved}. Mend the data or lower optimizer.lr and start in another "
                f"workdir; the same command goes on from that checkpoint: {command()}"
            )
        for name in (n for n, v in values.items() if n.startswith("alarm/") and v > 0):
            if name not in self._alarmed:
                self._alarmed.add(name)
                self.progress.say(f"Warning: {name} at step {step}: the model may be collapsing.")

    def close(self) -> None:
        """Closes files and the progress line."""
        if self._writer is not None:
            self._writer.close()
        self.progress.close()


def culprit(batch: dict[str, jax.Array]) -> str:
    """Which entry and which examples of a batch hold NaN or infinity, in words."""
    indices = [shard.data for shard in batch["index"].addressable_shards]
    for name, value in batch.items():
        if not jax.numpy.issubdtype(value.dtype, jax.numpy.inexact):
            continue
        for shard, index in zip(value.addressable_shards, indices, strict=True):
            rows = np.asarray(shard.data).reshape(len(index), -1)
            bad = np.asarray(index)[~np.isfinite(rows).all(1)]
            if bad.size:
                return f"the batch's '{name}' is not finite for examples with index {bad[:5]}"
    return "the batch itself is finite"
