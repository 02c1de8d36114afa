"""What the terminal shows of a run: how far it is, and a table at its end."""

import sys
import time
from collections.abc import Sequence
from typing import Self

from tqdm import tqdm

from vujax.pipeline.ingest.film import Outcome
from vujax.pipeline.ingest.sources import Source, SourceListing
from vujax.pipeline.workers.pool import Progress
from vujax.utils.formatting import format_clock, quote_unprintable

FORMAT = "{percentage:3.0f}%|{bar:20}| {desc}, left {remaining}"
MAX_REASONS = 20


class ProgressDisplay:
    """Counts outcomes and shows them.

    Time left is by the bytes of the files: no film's length is known before it is read.

    Attributes:
      outcomes: so far.
    """

    def __init__(self, sources: Sequence[Source], deed: str = "read") -> None:
        """Begins to count time.

        Args:
          sources: that will have an outcome.
          deed: what is done with them.
        """
        self.outcomes: list[Outcome] = []
        self._films, self._deed = len(sources), deed
        self._bytes = sum(source.bytes for source in sources)
        self._fresh_s = 0.0  # of film, read in this run
        self._going: dict[str, float] = {}  # seconds of films that are being read
        self._began = time.monotonic()
        self._bar = tqdm(total=self._bytes, bar_format=FORMAT, file=sys.stderr, disable=None)

    def __enter__(self) -> Self:
        self._describe()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.close()

    def show(self, event: Progress | Outcome) -> None:
        """Takes note of what happened."""
        if isinstance(event, Progress):
            self._going[event.source.path] = event.seconds
        else:
            self._going.pop(event.source.path, None)
            self.outcomes.append(event)
            self._fresh_s += event.seconds if event.done else 0.0
            self._bar.update(event.source.bytes)
            if event.reason and event.done and not self._bar.disable:
                tqdm.write(_one_line(event), file=sys.stderr)
        self._describe()

    def _describe(self) -> None:
        errors = sum(outcome.status == "error" for outcome in self.outcomes)
        seconds = self._fresh_s + sum(self._going.values())
        speed = seconds / self.elapsed_s
        self._bar.set_description_str(
            f"films {len(self.outcomes)}/{self._films}, {seconds / 3600:.2f} h, "
            f"{speed:.1f}x real time, {_count(errors, 'error')}",
            refresh=False,
        )
        self._bar.update(0)

    @property
    def elapsed_s(self) -> float:
        """Since the run began."""
        return max(time.monotonic() - self._began, 1e-3)

    def summary(self, found: SourceListing) -> str:
        """The table at the end."""
        done = [outcome for outcome in self.outcomes if outcome.done]
        elapsed = self.elapsed_s
        by_status = {
            status: sum(outcome.status == status for outcome in self.outcomes)
            for status in ("whole", "partial", "error")
        }
        rows = [
            ("films", f"{len(self.outcomes)} ({_counts(by_status)})"),
            (
                f"{self._deed} now",
                f"{len(done)}; {len(self.outcomes) - len(done)} were there already",
            ),
            ("shots", f"{sum(o.shots for o in self.outcomes):,}"),
            ("keyframes", f"{sum(o.keyframes for o in self.outcomes):,}"),
            ("film time", format_clock(sum(o.seconds for o in self.outcomes))),
            ("took", f"{format_clock(elapsed)}, {self._fresh_s / elapsed:.1f}x real time"),
        ]
        passed = _counts({"linked folders": found.links, "files of other kinds": found.others})
        if found.links or found.others:
            rows.append(("passed over", passed))
        return "\n".join(f"{name:<12} {value}" for name, value in rows)

    def reasons(self, found: SourceListing) -> list[str]:
        """What is not whole, with the reason; the first lines."""
        lines = [
            f"error: {quote_unprintable(path)}: the folder may not be read" for path in found.closed
        ]
        lines += [_one_line(outcome) for outcome in self.outcomes if outcome.reason]
        more = len(lines) - MAX_REASONS
        return [*lines[:MAX_REASONS], *([f"... and {more} more"] if more > 0 else [])]


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{number} {name}" for name, number in counts.items() if number)


def _one_line(outcome: Outcome) -> str:
    return f"{outcome.status}: {quote_unprintable(outcome.source.path)}: {outcome.reason}"
