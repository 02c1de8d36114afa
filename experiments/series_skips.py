"""Seconds that players skip in a synthetic season, against truth.

    python experiments/series_skips.py --work runs/series_skips

Runs `vujax synthesize --series 4` and `vujax scenes --series --shots adaptive`, then reads the
files as players do:
  chapters: names in the copy with chapters, by Jellyfin's Chapter Segments Provider (its default
    patterns), and by intro-skipper (its default patterns, with and without its minimum of 15 s);
  kodi: `scenes.kodi.edl` by the rules of Kodi's reader;
  jellyfin: the media segments.

Precision and recall are of seconds in recaps, openings and end credits, of all kinds together:
a player skips them all. Segments with a type count only for their own kind.
"""

import argparse
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import av

from vujax.data.synthetic.ground_truth import EpisodeTruth, read_truth
from vujax.utils.io import write_json

RESULTS = Path(__file__).parent / "results" / "series_skips"
KINDS = {"recap": "Recap", "opening": "Intro", "closing": "Outro"}
# The plugin takes the first type whose pattern is in a name (version 10.10).
CHAPTER_SEGMENTS = {
    "Intro": r"intro|opening|^OP$",
    "Commercial": r"break|ad|advertisement|intermission|advert|commercial",
    "Preview": r"preview|next time on|next on|sneak peek",
    "Recap": r"recap|last time on|last on|previously on",
    "Outro": r"outro|closing|credits|ending|^ED$",
}
INTRO_SKIPPER = {
    "Recap": r"(^|\s)(Re?cap|Sum{1,2}ary|Prev(ious(ly)?)?|(Last|Earlier)(\s\w+)?|Catch[ -]up)"
    r"(?!\sEnd)(\s|:|$)",
    "Intro": r"(^|\s)(Intro|Introduction|OP|Opening)(?!\sEnd)(\s|$)",
    "Outro": r"(^|\s)(Credits?|ED|Ending|Outro)(?!\sEnd)(\s|$)",
}
MAX_S = {"Recap": 120.0, "Intro": 120.0, "Outro": 450.0}
COMMERCIAL_BREAK = 3
MIN_FIRST_BREAK_S = 5.0

Segment = tuple[str, float, float]


def chapter_segments(chapters: Sequence[tuple[float, str]], end_s: float) -> list[Segment]:
    """Return type, start and end as Jellyfin's Chapter Segments Provider does.

    Args:
      chapters: start in seconds and name, in order.
      end_s: length of the film in seconds.
    """
    ends = [*(start for start, _ in chapters[1:]), end_s]
    found = []
    for (start_s, name), stop_s in zip(chapters, ends, strict=True):
        kinds = [k for k, rule in CHAPTER_SEGMENTS.items() if re.search(rule, name, re.IGNORECASE)]
        found += [(kind, start_s, stop_s) for kind in kinds[:1]]
    return found


def intro_skipper(
    chapters: Sequence[tuple[float, str]], end_s: float, min_s: float
) -> list[Segment]:
    """Return type, start and end as intro-skipper's chapter analyzer does: one for each type.

    Args:
      chapters: start in seconds and name, in order.
      end_s: length of the film in seconds.
      min_s: minimum length of a segment in seconds.
    """
    ends = [*(start for start, _ in chapters[1:]), end_s]
    found = []
    for kind, rule in INTRO_SKIPPER.items():
        is_match = [bool(re.search(rule, name, re.IGNORECASE)) for _, name in chapters]
        order = range(len(chapters))
        step = -1 if kind == "Outro" else 1  # credits are searched from the end
        for index in order[::step]:
            start_s, stop_s = chapters[index][0], ends[index]
            beside = index - 1 if kind == "Outro" else index + 1
            overlaps = beside in order and is_match[beside]
            if is_match[index] and min_s <= stop_s - start_s <= MAX_S[kind] and not overlaps:
                found.append((kind, start_s, stop_s))
                break
    return sorted(found, key=lambda segment: segment[1])


def read_kodi(text: str) -> list[tuple[float, float]]:
    """Return the breaks that Kodi (20) skips, in seconds, at its default settings."""
    breaks: list[tuple[int, int]] = []
    for line in text.splitlines():
        fields = line.split()
        if len(fields) != 3 or fields[0].startswith("##") or int(fields[2]) != COMMERCIAL_BREAK:
            continue
        start, end = (int(float(value) * 1000) for value in fields[:2])
        is_inside = any(a <= time <= b for a, b in breaks for time in (start, end))
        surrounds = any(start < a and b < end for a, b in breaks)
        if 0 <= start < end and not is_inside and not surrounds:
            breaks = sorted([*breaks, (start, end)])
    if breaks and breaks[0][1] - breaks[0][0] < 1000 * MIN_FIRST_BREAK_S:
        breaks = breaks[1:]
    return [(start / 1000, end / 1000) for start, end in breaks]


def read_chapters(path: Path) -> tuple[list[tuple[float, str]], float]:
    """Return the chapters of a film, and its length in seconds."""
    with av.open(str(path)) as film:
        chapters = [
            (float(c["start"] * c["time_base"]), c["metadata"]["title"]) for c in film.chapters()
        ]
        return chapters, film.duration / av.time_base


def read_segments(path: Path) -> list[Segment]:
    """Return type, start and end of Jellyfin's media segments."""
    items = json.loads(path.read_text())["Items"]
    return [(i["Type"], i["StartTicks"] / 1e7, i["EndTicks"] / 1e7) for i in items]


def true_segments(truth: EpisodeTruth) -> list[Segment]:
    """Return the true type, start and end of an episode's parts."""
    fps = float(truth.fps)
    return [
        (KINDS[scene.role], scene.first / fps, (scene.last + 1) / fps)
        for scene in truth.scenes
        if scene.role in KINDS
    ]


def count(found: Sequence[Segment], truth: Sequence[Segment]) -> Counter[str]:
    """Count seconds found, true and right; segments of type '' count for any kind."""
    right = 0.0
    for kind, start_s, end_s in found:
        for other, first_s, last_s in truth:
            if kind in ("", other):
                right += max(0.0, min(end_s, last_s) - max(start_s, first_s))
    return Counter(
        found=sum(end - start for _, start, end in found),
        true=sum(end - start for _, start, end in truth),
        right=right,
    )


def read_episode(films: Path, out: Path, name: str) -> dict[str, Counter[str]]:
    """Return the counts of an episode by reader."""
    truth = true_segments(read_truth(films / f"{name}.truth.json"))
    chapters, end_s = read_chapters(out / f"{name}.mp4")
    breaks = read_kodi((out / f"{name}.kodi.edl").read_text())
    found = {
        "Jellyfin, Chapter Segments Provider": chapter_segments(chapters, end_s),
        "Jellyfin, intro-skipper": intro_skipper(chapters, end_s, 15.0),
        "Jellyfin, intro-skipper, no minimum": intro_skipper(chapters, end_s, 0.0),
        "Jellyfin, media segments": read_segments(out / f"{name}.segments.json"),
        "Kodi, EDL": [("", start_s, stop_s) for start_s, stop_s in breaks],
    }
    return {reader: count(segments, truth) for reader, segments in found.items()}


def make(folder: Path, seed: int, episodes: int, minutes: float) -> tuple[Path, Path]:
    """Create the season and the files of its scenes; what exists is not made again."""
    films, out = folder / "films", folder / "out"
    season = ["synthesize", "--series", episodes, "--seed", seed, "--minutes", minutes]
    formats = ["chapters", "kodi", "jellyfin", "json", "html"]
    for words in (
        [*season, "--out", films],
        ["scenes", films, "--series", "--shots", "adaptive", "--out", out, "--formats", *formats],
    ):
        command = [sys.executable, "-m", "vujax.cli", *map(str, words)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return films, out


def main() -> None:
    parser = argparse.ArgumentParser(description="seconds that players skip, as JSON")
    parser.add_argument("--work", type=Path, required=True, help="directory of films and files")
    parser.add_argument("--seed", type=int, default=400)
    parser.add_argument("--episodes", type=int, default=4)
    parser.add_argument("--minutes", type=float, default=2.0, help="mean length of a story")
    args = parser.parse_args()
    films, out = make(args.work, args.seed, args.episodes, args.minutes)
    total: dict[str, Counter[str]] = {}
    for path in sorted(films.glob("*.mp4")):
        for reader, counts in read_episode(films, out, path.stem).items():
            total[reader] = total.get(reader, Counter()) + counts
    table = {
        reader: dict(
            precision=round(c["right"] / c["found"], 3) if c["found"] else None,
            recall=round(c["right"] / c["true"], 3),
            found=round(c["found"], 1),
            true=round(c["true"], 1),
        )
        for reader, c in total.items()
    }
    print(json.dumps(table, indent=1))
    write_json(RESULTS / "table.json", table | dict(seed=args.seed, episodes=args.episodes))


if __name__ == "__main__":
    main()
