"""`vujax synthesize --out FOLDER`: synthetic films with their ground truth."""

import argparse
from pathlib import Path

SPLITS = ("train", "validation", "themed-train", "themed-validation")
OPTIONS = ("seed", "split", "minutes", "height", "width", "fps", "channels", "workers")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.description = (
        "Render synthetic films as MP4, with NAME.truth.json beside each and one set.json. "
        "A run that was interrupted resumes where it stopped."
    )
    add = parser.add_argument
    add("--out", required=True, type=Path, metavar="FOLDER", help="output directory")
    count = parser.add_mutually_exclusive_group()
    count.add_argument("--films", type=int, default=20, help="number of films (default: 20)")
    count.add_argument(
        "--series", type=int, metavar="N", help="instead of films, the N episodes of one series"
    )
    add("--seed", type=int, default=0, help="each seed has other films (default: 0)")
    add(
        "--split",
        choices=SPLITS,
        default="train",
        help="split of the films; in themed ones genres share palettes and themes cross films "
        "(default: train)",
    )
    add("--minutes", type=float, default=3.0, help="mean length of a story (default: 3)")
    add("--height", type=int, default=180, help="pixels (default: 180)")
    add("--width", type=int, default=320, help="pixels (default: 320)")
    add("--fps", default="24", help="frames per second, such as 25 or 24000/1001 (default: 24)")
    add("--channels", type=int, default=1, help="audio channels, 1 or 2 (default: 1)")
    add("--workers", type=int, metavar="N", help="processes that render (default: one per core)")


def run(arguments: argparse.Namespace) -> int:
    """Render the films and print a summary.

    Raises:
      ValueError, OSError: an option is wrong, or the output directory cannot be written to.
    """
    from tqdm import tqdm

    from vujax.data.synthetic.video import write_set
    from vujax.video.probe import quote_path

    is_series = arguments.series is not None
    options = {name: getattr(arguments, name) for name in OPTIONS}
    options |= dict(films=arguments.series if is_series else arguments.films, series=is_series)
    with tqdm(total=options["films"], unit="film", disable=None) as bar:

        def progress(name: str, done: int, films: int) -> None:
            bar.update(done - bar.n)

        truth = write_set(arguments.out, progress=progress, **options)
    minutes = sum(film.duration_s for film in truth.films) / 60
    what = "episodes" if is_series else "films"
    out = quote_path(arguments.out)
    print(f"{out}: {len(truth.films)} {what}, {minutes:.1f} minutes, set.json")
    return 0
