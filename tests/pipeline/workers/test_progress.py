"""The summary and the reasons shown on the terminal."""

from pathlib import Path

from vujax.pipeline.sources import Source, SourceListing
from vujax.pipeline.stage import Outcome, Progress
from vujax.pipeline.workers.progress import MAX_REASONS, ProgressDisplay


def source(name: str) -> Source:
    return Source("/", name, Path(name), name, 1 << 20)


def test_the_table_counts_what_happened() -> None:
    one, two, three = map(source, ("a", "b\nc", "d"))
    with ProgressDisplay([one, two, three]) as terminal:
        terminal.show(Progress(one, 30.0))
        terminal.show(Outcome(one, "a-1", "whole", seconds=3600, shots=1200, keyframes=3600))
        terminal.show(Outcome(two, "b-1", "error", "it is empty"))
        terminal.show(Outcome(three, "d-1", "whole", done=False, seconds=60, shots=2))
    lines = terminal.summary(SourceListing((), 2, 5)).splitlines()
    table = {line[:12].strip(): line[13:] for line in lines}
    assert table["films"] == "3 (2 whole, 1 error)"
    assert table["read now"] == "2; 1 were already done"
    assert table["read in"].endswith("x real time")
    assert "took" not in table  # `vujax scenes` prints a total beside the stages
    assert table["shots"] == "1,202"
    assert table["film time"] == "1:01:00"
    assert table["skipped"] == "2 linked folders, 5 files of other kinds"
    assert terminal.reasons(SourceListing((), 0, 0, ("shut\n",))) == [
        "error: 'shut\\n': the folder is not readable",
        "error: 'b\\nc': it is empty",
    ]


def test_long_lists_of_errors_are_cut() -> None:
    sources = [source(f"{i}") for i in range(MAX_REASONS + 5)]
    with ProgressDisplay(sources) as terminal:
        for one in sources:
            terminal.show(Outcome(one, one.slug, "error", "bad"))
    reasons = terminal.reasons(SourceListing((), 0, 0))
    assert len(reasons) == MAX_REASONS + 1
    assert reasons[-1] == "... and 5 more"
