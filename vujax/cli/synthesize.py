"""The command `vujax cinema`: writes films with their truth."""

import argparse
from pathlib import Path

from tqdm import tqdm

from vujax.data.synthetic.dataset_images import DEFAULTS
from vujax.data.synthetic.video import write_set
from vujax.video.probe import quote_path

_OPTIONS = ("seed", "split", "minutes", "height", "width", "fps", "channels", "workers")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.description = (
        "Writes procedural films as MP4 with NAME.truth.json beside each and one set.json. "
        "A run that was stopped goes on where it stopped."
    )
    parser.add_argument("--out", required=True, type=Path, help="the folder to write into")
    how_many = parser.add_mutually_exclusive_group()
    how_many.add_argument("--films", type=int, default=20, help="how many (20)")
    how_many.add_argument(
        "--series", type=int, metavar="N", help="instead of films, the N episodes of one series"
    )
    parser.add_argument("--seed", type=int, default=0, help="another seed is another cinema (0)")
    parser.add_argument("--split", choices=list(DEFAULTS), default="train")
    parser.add_argument("--minutes", type=float, default=3.0, help="mean length of a story (3)")
    parser.add_argument("--height", type=int, default=180, help="pixels (180)")
    parser.add_argument("--width", type=int, default=320, help="pixels (320)")
    parser.add_argument("--fps", default="24", help="frames per second, such as 25 or 24000/1001")
    parser.add_argument("--channels", type=int, default=1, help="of the sound: 1 or 2 (1)")
    parser.add_argument("--workers", type=int, help="processes that draw (one a core)")


def run(args: argparse.Namespace) -> int:
    """Writes the films; the exit status.

    Raises:
      ValueError, OSError: an option is wrong, or the folder cannot be written to.
    """
    options = {key: getattr(args, key) for key in _OPTIONS}
    options["films"] = args.films if args.series is None else args.series
    options["series"] = args.series is not None
    with tqdm(total=options["films"], unit="film", disable=None) as bar:

        def progress(name: str, done: int, films: int) -> None:
            bar.update(done - bar.n)

        truth = write_set(args.out, progress=progress, **options)
    minutes = sum(film.duration_s for film in truth.films) / 60
    what = "films" if args.series is None else "episodes"
    print(f"{quote_path(args.out)}: {len(truth.films)} {what}, {minutes:.1f} minutes, set.json")
    return 0
