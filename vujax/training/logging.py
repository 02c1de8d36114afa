"""Metrics of a run: metrics.jsonl, TensorBoard events and a progress line, one step late."""

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

from vujax.methods.base import Batch, Metrics
from vujax.training.setup import TrainingParts
from vujax.utils.io import write_text

METRICS_FILE = "metrics.jsonl"


class MetricLogger:
    """Fetches each step's metrics one step late, so that the device never waits for the host.

    Attributes:
      meter: rates since the last report.
      progress: the progress line.
    """

    def __init__(
        self,
        workdir: Path,
        parts: TrainingParts,
        *,
        every: int,
        start_step: int,
        check_bad: Callable[[int, int], None],
    ) -> None:
        """Open the files of a run on process 0.

        Args:
          workdir: of the run.
          parts: of the training.
          every: steps between two reports.
          start_step: steps done before.
          check_bad: `(bad, total)` raises when too many samples were replaced.
        """
        self._workdir, self._parts, self._every = workdir, parts, every
        self._check_bad, self._num_bad, self._num_samples = check_bad, 0, 0
        self.meter = ThroughputMeter()
        is_leader = jax.process_index() == 0
        self.progress = ProgressLine(parts.total_steps, start_step, is_shown=is_leader)
        self._writer = MetricWriter(workdir, start_step) if is_leader else None
        self._pending: tuple[int, Metrics, Batch] | None = None
        self._alarms: set[str] = set()

    def log(self, step: int, metrics: Metrics, batch: Batch) -> None:
        """Take the metrics of a step that was just started; flush those of the one before."""
        self.flush()
        self._pending = (step, metrics, batch)

    def flush(self) -> None:
        """Wait for the last logged step; check its metrics, warn, write and show them.

        Raises:
          FloatingPointError: its loss or gradient norm is not finite.
          ValueError: more samples had to be replaced than the config allows.
        """
        if self._pending is None:
            return
        (step, metrics, batch), self._pending = self._pending, None
        values = {name: float(value) for name, value in jax.device_get(metrics).items()}
        self._check_finite(step, values, batch)
        self._warn_of_alarms(step, values)
        self._num_bad += int(values.get("bad_samples", 0))
        self._num_samples += len(batch["index"])
        self.meter.add_examples(len(batch["index"]))
        self._check_bad(self._num_bad, self._num_samples)
        if step % self._every and step != self._parts.total_steps:
            return
        values["bad_samples"] = self._num_bad
        values["learning_rate"] = float(self._parts.schedule(step - 1))
        values |= self.meter.pop_rates()
        if self._writer is not None:
            self._writer.write(step, values)
        self.progress.report(step, values)

    def _check_finite(self, step: int, values: dict[str, float], batch: Batch) -> None:
        if np.isfinite([values["loss"], values["grad_norm"]]).all():
            return
        checkpoints = self._workdir / "checkpoints"
        raise FloatingPointError(
            f"step {step}: loss {values['loss']}, gradient norm {values['grad_norm']}; "
            f"{describe_non_finite(batch)}. Nothing of this step was saved; the last good "
            f"checkpoint is the newest in {checkpoints}. Repair the data or lower optimizer.lr and "
            "start in another workdir; the same command resumes from that checkpoint: "
            f"{build_resume_command()}"
        )

    def _warn_of_alarms(self, step: int, values: dict[str, float]) -> None:
        raised = {name for name, value in values.items() if name.startswith("alarm/") and value > 0}
        for name in sorted(raised - self._alarms):
            self.progress.print(f"Warning: {name} at step {step}: the model may be collapsing.")
        self._alarms |= raised

    def close(self) -> None:
        """Close files and the progress line."""
        if self._writer is not None:
            self._writer.close()
        self.progress.close()


class MetricWriter:
    """Appends to a workdir's metrics; lines after `start_step` (of a killed run) are dropped."""

    def __init__(self, workdir: Path, start_step: int) -> None:
        retained = [line for line in read_metrics(workdir) if line["step"] <= start_step]
        text = "".join(json.dumps(line) + "\n" for line in retained)
        write_text(workdir / METRICS_FILE, text)
        self._lines = (workdir / METRICS_FILE).open("a")
        self._events = SummaryWriter(str(workdir / "tensorboard"), purge_step=start_step + 1)

    def write(self, step: int, values: dict[str, float]) -> None:
        """Write one line of JSON and one event per metric."""
        self._lines.write(json.dumps({"step": step, **values}) + "\n")
        self._lines.flush()
        for name, value in values.items():
            self._events.add_scalar(name, value, step)

    def close(self) -> None:
        """Flush and close both files."""
        self._lines.close()
        self._events.close()


class ProgressLine:
    """Progress on the terminal: a bar, or a plain line per report if the output is no terminal."""

    def __init__(self, total_steps: int, start_step: int, *, is_shown: bool) -> None:
        self._bar = tqdm(
            total=total_steps,
            initial=start_step,
            unit="step",
            dynamic_ncols=True,
            disable=not (is_shown and sys.stderr.isatty()),
        )
        self._is_shown = is_shown
        self._total, self._start, self._started_s = total_steps, start_step, time.monotonic()

    def report(self, step: int, values: dict[str, float]) -> None:
        """Show loss, examples per second, data-wait share and remaining time."""
        if not self._is_shown:
            return
        text = (
            f"loss {values['loss']:.4f}, {values['examples_per_s']:.0f} examples/s, "
            f"data wait {values['data_wait_share']:.0%}"
        )
        if not self._bar.disable:
            self._bar.set_postfix_str(text, refresh=False)
            self._bar.update(step - self._bar.n)
            return
        elapsed_s = time.monotonic() - self._started_s
        left_s = elapsed_s / max(step - self._start, 1) * (self._total - step)
        left = tqdm.format_interval(left_s)
        print(f"step {step}/{self._total}: {text}, {left} left", flush=True)

    def print(self, text: str) -> None:
        """Print a line of text without disturbing the bar."""
        tqdm.write(text, file=sys.stdout)
        sys.stdout.flush()

    def close(self) -> None:
        """Leave the bar as it stands."""
        self._bar.close()


class ThroughputMeter:
    """Examples per second and the share of time spent waiting for data, since the last report."""

    def __init__(self) -> None:
        self._start_s, self._wait_s, self._examples = time.monotonic(), 0.0, 0

    def add_wait(self, seconds: float) -> None:
        """Add the wait for a batch."""
        self._wait_s += seconds

    def add_examples(self, count: int) -> None:
        """Count the examples of a step that is done."""
        self._examples += count

    def pop_rates(self) -> dict[str, float]:
        """Return both rates, and start the next interval."""
        elapsed_s = max(time.monotonic() - self._start_s, 1e-9)
        rates = {
            "examples_per_s": self._examples / elapsed_s,
            "data_wait_share": min(self._wait_s / elapsed_s, 1.0),
        }
        self.__init__()
        return rates


def read_metrics(workdir: Path) -> list[dict[str, Any]]:
    """Read the lines of `metrics.jsonl`, without a last line that was cut off by a kill."""
    path = workdir / METRICS_FILE
    if not path.exists():
        return []
    lines = []
    for line in path.read_text().splitlines():
        try:
            lines.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return lines


def build_resume_command() -> str:
    """Return the command line of this process, which also resumes an interrupted run."""
    return shlex.join(["python", "-m", "vujax.main", *sys.argv[1:]])


def describe_non_finite(batch: Batch) -> str:
    """Name the entry and the examples of a batch that hold NaN or infinity."""
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
