"""Scalars of a run: metrics.jsonl, TensorBoard events, and the line that people watch."""

import json
import sys
import time
from pathlib import Path
from typing import Any

from tensorboardX import SummaryWriter
from tqdm import tqdm

from vujax.files import write_atomically

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
        write_atomically(workdir / FILE, lambda p: p.write_text(text))
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
