"""Scalars of a run: metrics.jsonl, TensorBoard events, and the line that people watch.

What is looked at while a run goes on: each step's scalars, one step late.
"""

import json
import shlex
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from tensorboardX import SummaryWriter
from tqdm import tqdm

from vujax.training.setup import Parts
from vujax.utils.io import write_text

FILE = "metrics.jsonl"


def read(workdir: Path) -> list[dict[str, Any]]:
    """The lines of `metrics.jsonl`; a last line that was cut off by a kill is left out."""
    path = workdir / FILE
    if not path.exists():
        return []
    lines = []
    for line in path.read_text().splitlines():
        try:
            lines.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return lines


class Writer:
    """Appends to a workdir's metrics; what lies after `start_step` (a killed run's) is dropped."""

    def __init__(self, workdir: Path, start_step: int) -> None:
        kept = [line for line in read(workdir) if line["step"] <= start_step]
        text = "".join(json.dumps(line) + "\n" for line in kept)
        write_text(workdir / FILE, text)
        self._lines = (workdir / FILE).open("a")
        self._events = SummaryWriter(str(workdir / "tensorboard"), purge_step=start_step + 1)

    def write(self, step: int, scalars: dict[str, float]) -> None:
        """One line of JSON and one event per scalar."""
        self._lines.write(json.dumps({"step": step, **scalars}) + "\n")
        self._lines.flush()
        for name, value in scalars.items():
            self._events.add_scalar(name, value, step)

    def close(self) -> None:
        """Flushes both files."""
        self._lines.close()
        self._events.close()


class Progress:
    """The progress line: a bar on a terminal, else a plain line at each report."""

    def __init__(self, total_steps: int, start_step: int, *, shown: bool) -> None:
        self._bar = tqdm(
            total=total_steps,
            initial=start_step,
            unit="step",
            dynamic_ncols=True,
            disable=not (shown and sys.stderr.isatty()),
        )
        self._shown = shown
        self._total, self._start, self._begun = total_steps, start_step, time.monotonic()

    def report(self, step: int, scalars: dict[str, float]) -> None:
        """Shows loss, examples per second, data-wait share and time left."""
        if not self._shown:
            return
        text = (
            f"loss {scalars['loss']:.4f}, {scalars['examples_per_s']:.0f} examples/s, "
            f"data wait {scalars['data_wait_share']:.0%}"
        )
        if not self._bar.disable:
            self._bar.set_postfix_str(text, refresh=False)
            self._bar.update(step - self._bar.n)
            return
        elapsed = time.monotonic() - self._begun
        left = elapsed / max(step - self._start, 1) * (self._total - step)
        print(f"step {step}/{self._total}: {text}, {tqdm.format_interval(left)} left", flush=True)

    def say(self, text: str) -> None:
        """A line of text that does not disturb the bar."""
        tqdm.write(text, file=sys.stdout)
        sys.stdout.flush()

    def close(self) -> None:
        """Leaves the bar as it stands."""
        self._bar.close()


class Meter:
    """Examples per second and the share of time spent waiting for data, since the last report."""

    def __init__(self) -> None:
        self._since, self._waited, self._examples = time.monotonic(), 0.0, 0

    def waited(self, seconds: float, examples: int) -> None:
        """Counts one step's wait for its batch."""
        self._waited += seconds
        self._examples += examples

    def take(self) -> dict[str, float]:
        """The two rates; starts the next interval."""
        elapsed = max(time.monotonic() - self._since, 1e-9)
        rates = {
            "examples_per_s": self._examples / elapsed,
            "data_wait_share": min(self._waited / elapsed, 1.0),
        }
        self.__init__()
        return rates


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
        self.meter = Meter()
        leads = jax.process_index() == 0
        self.progress = Progress(parts.total_steps, first, shown=leads)
        self._writer = Writer(workdir, first) if leads else None
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
