"""Progress bar and final summary of a run on the terminal."""

import sys
import time
from collections.abc import Sequence
from typing import Self

from tqdm import tqdm

from vujax.pipeline.sources import Source, SourceListing
from vujax.pipeline.stage import STATUSES, Outcome, Progress
from vujax.utils.formatting import format_clock, quote_unprintable

FORMAT = "{percentage:3.0f}%|{bar:20}| {desc}, left {remaining}"
MAX_REASONS = 20


class ProgressDisplay:
    """Progress bar that counts outcomes.

    The remaining time is estimated from the size of the files, because the length of a film is
    unknown until it is read.

    Attributes:
      outcomes: outcomes so far.
    """

    def __init__(self, sources: Sequence[Source], verb: str = "read") -> None:
        """Start the clock.

        Args:
          sources: films of the run.
          verb: past participle of the work on them, for the summary.
        """
        self.outcomes: list[Outcome] = []
        self._films, self._verb = len(sources), verb
        self._bytes = sum(source.bytes for source in sources)
        self._fresh_s = 0.0  # seconds of film done in this run
        self._active: dict[str, float] = {}  # seconds of films in work, by path
        self._started = time.monotonic()
        self._bar = tqdm(total=self._bytes, bar_format=FORMAT, file=sys.stderr, disable=None)

    def __enter__(self) -> Self:
        self._describe()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.close()

    def show(self, event: Progress | Outcome) -> None:
        """Record an event and update the bar."""
        if isinstance(event, Progress):
            self._active[event.source.path] = event.seconds
        else:
            self._active.pop(event.source.path, None)
            self.outcomes.append(event)
            self._fresh_s += event.seconds if event.done else 0.0
            self._bar.update(event.source.bytes)
            if event.reason and event.done and not self._bar.disable:
                tqdm.write(_one_line(event), file=sys.stderr)
        self._describe()

    def _describe(self) -> None:
        errors = sum(outcome.status == "error" for outcome in self.outcomes)
        seconds = self._fresh_s + sum(self._active.values())
        speed = seconds / self.elapsed_s
        self._bar.set_description_str(
            f"films {len(self.outcomes)}/{self._films}, {seconds / 3600:.2f} h, "
            f"{speed:.1f}x real time, {_count(errors, 'error')}",
            refresh=False,
        )
        self._bar.update(0)

    @property
    def elapsed_s(self) -> float:
        """Seconds since the start of the run."""
        return max(time.monotonic() - self._started, 1e-3)

    def summary(self, listing: SourceListing) -> str:
        """Return the table at the end of the run."""
        done = [outcome for outcome in self.outcomes if outcome.done]
        elapsed = self.elapsed_s
        by_status = {
            status: sum(outcome.status == status for outcome in self.outcomes)
            for status in STATUSES
        }
        rows = [
            ("films", f"{len(self.outcomes)} ({_counts(by_status)})"),
            (
                f"{self._verb} now",
                f"{len(done)}; {len(self.outcomes) - len(done)} were already done",
            ),
            ("shots", f"{sum(o.shots for o in self.outcomes):,}"),
            ("keyframes", f"{sum(o.keyframes for o in self.outcomes):,}"),
            ("film time", format_clock(sum(o.seconds for o in self.outcomes))),
            (
                f"{self._verb} in",
                f"{format_clock(elapsed)}, {self._fresh_s / elapsed:.1f}x real time",
            ),
        ]
        skipped = _counts(
            {"linked folders": listing.num_links, "files of other kinds": listing.num_others}
        )
        if skipped:
            rows.append(("skipped", skipped))
        return "\n".join(f"{name:<12} {value}" for name, value in rows)

    def reasons(self, listing: SourceListing) -> list[str]:
        """Return the first lines about films and folders that are incomplete, with reasons."""
        lines = [
            f"error: {quote_unprintable(path)}: the folder is not readable"
            for path in listing.unreadable
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
