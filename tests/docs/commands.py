"""Commands of the documentation, run in this process, with small sizes appended to trainings."""

import os
import re
import runpy
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from absl import flags
from ml_collections import config_flags

FEW = (
    "total_steps=1",
    "log_steps=1",
    "checkpoint_steps=1",
    "evals={}",
    "batch_size=8",
    "optimizer.warmup_steps=0",
)
SMALL_TOWERS = (
    "model.image.image_size=32",
    "model.text.context=8",
    "data.workers=0",
)
TINY = (
    "model.image.variant=Mu/16",
    "model.text.width=32",
    "model.text.layers=1",
    "model.text.heads=2",
    "model.embed_dim=16",
    "model.dtype=float32",
    "model.scan=false",
)
EPOCH = ("total_epochs=0.25", *FEW[1:])
WITH_EVALS = tuple(size for size in EPOCH if not size.startswith("evals"))
THIN = (*TINY, "model.image.layers=1", "model.image.width=32")
FILMS = ("films=2", "minutes=0.2")

SIZES: dict[str, tuple[str, ...]] = {
    r"configs/distill\.py$": (*FEW, *SMALL_TOWERS, *THIN, "data.sources.main.frames=64"),
    r"configs/distill\.py:small$": (*EPOCH, *SMALL_TOWERS, *TINY),
    r"configs/distill\.py:features$": (*EPOCH, "data.cache=runs/cached"),
    r"configs/distill\.py:release=": (*EPOCH, "data.workers=0"),
    r"my_pairs\.py$": (*WITH_EVALS, *SMALL_TOWERS, *TINY),
    r"configs/caption\.py$": (
        *FEW,
        "data.sources.main.frames=16",
        "data.cache=runs/cached",
        "model.layers=1",
        "model.width=48",
    ),
    r"configs/caption\.py:pairs$": (*FEW, "data.cache=runs/cached"),
    r"configs/shotcol\.py$": (
        *FEW,
        *(f"data.films.main.{size}" for size in FILMS),
        "method.queue=64",
    ),
    r"my_shotcol\.py$": (*FEW, "method.queue=64"),
    r"my_hinge\.py$": (*FEW, *SMALL_TOWERS, *THIN, "data.sources.main.frames=64"),
    r"configs/boundary\.py:similarity$": FEW,
    r"configs/boundary\.py$": (
        *FEW,
        *(f"data.films.main.{size}" for size in FILMS),
        "model.encoder.image.variant=Mu",
        "model.encoder.image.width=8",
    ),
    r"configs/movies2scenes\.py$": (
        *FEW,
        *(f"data.{part}.{size}" for part in ("scenes", "tables") for size in FILMS),
        "data.k=1",
        "method.queue=64",
        "batch_size=2",
        "model.encoder.layers=1",
        "model.encoder.encoder.image.width=8",
    ),
    r"configs/movies2scenes\.py:catalog$": (
        *FEW,
        "data.k=1",
        "method.queue=96",
        "model.encoder.width=32",
    ),
}
"""Overrides that make a training small, by its config: the documented command otherwise runs."""

SMALL_FILMS = {"--minutes": 0.2, "--height": 90, "--width": 160, "--fps": 6, "--workers": 1}
APPENDED: dict[str, list[str]] = {
    "caption": ["--strict"],
    "embed": ["--strict"],
    "ingest": ["--strict", "--workers", "1"],
    "scenes": ["--strict", "--workers", "1"],
    "synthesize": [str(word) for option in SMALL_FILMS.items() for word in option],
}
"""Appended to commands of `vujax`: nothing may fail in silence, and little is started."""

FAST_SHOTS = {"ingest": ["--detector", "adaptive"], "scenes": ["--shots", "adaptive"]}
"""Appended where TransNetV2 would read a film again, which takes seconds that add up."""

READ = {"out": "film.mp4"}
"""The folder of the workspace for which TransNetV2 has read a film, and the film."""


def vujax_arguments(words: Sequence[str]) -> list[str]:
    """Return the arguments of a command of `vujax` with those of the tables above.

    Args:
      words: of the command, without `vujax`.
    """
    if "--help" in words:
        return list(words)
    added = APPENDED.get(words[0], [])
    out = next((words[i + 1] for i, word in enumerate(words[:-1]) if word == "--out"), "")
    known = READ.get(out.rstrip("/")) in words or {"--shots", "--detector"} & set(words)
    from_catalog = any(word.rstrip("/").endswith("catalog") for word in words[1:2])
    fast = [] if known or from_catalog else FAST_SHOTS.get(words[0], [])
    return [*words, *added, *fast]


def run_command(words: Sequence[str], folder: Path) -> None:
    """Run one command with `folder` as the current folder.

    Raises:
      AssertionError: its exit status is not 0, or it is of a kind that is not known.
    """
    with entered(folder):
        if words[0] == "vujax":
            assert run_vujax(vujax_arguments(words[1:])) == 0, " ".join(words)
        elif words[:3] == ["python", "-m", "vujax.main"]:
            train(words[3:])
        elif words[:2] == ["python", "-m"]:
            run_script(words[2], words[3:], runpy.run_module)
        elif words[0] == "python":
            run_script(words[1], words[2:], runpy.run_path)
        else:
            raise AssertionError(f"mark the block as not run: {' '.join(words)}")


@contextmanager
def entered(folder: Path) -> Iterator[None]:
    """Make `folder` the current folder, and the first one to import from."""
    before, path = Path.cwd(), list(sys.path)
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        os.chdir(before)
        sys.path[:] = path


def run_vujax(arguments: list[str]) -> int:
    """Return the exit status of `vujax ARGUMENTS`."""
    from vujax import cli

    try:
        return cli.main(arguments)
    except SystemExit as left:  # --help
        return int(left.code or 0)


def train(arguments: Sequence[str]) -> None:
    """Train as `python -m vujax.main ARGUMENTS` does, with the overrides of SIZES."""
    import vujax
    from vujax.main import default_workdir

    (name,) = (word.partition("=")[2] for word in arguments if word.startswith("--config="))
    sizes = next((own for pattern, own in SIZES.items() if re.search(pattern, name)), None)
    assert sizes is not None, f"{name} has no small sizes: add some to SIZES"
    own = flags.FlagValues()
    config = config_flags.DEFINE_config_file("config", flag_values=own, lock_config=True)
    workdir = flags.DEFINE_string("workdir", None, "", flag_values=own)
    with program(["main", *arguments, *(f"--config.{size}" for size in sizes)]) as argv:
        own(argv)
    vujax.train(config.value, Path(workdir.value or default_workdir(name)))


def run_script(name: str, arguments: Sequence[str], run: Callable[..., object]) -> None:
    """Run a script or a module as the main program."""
    with program([name, *arguments]):
        try:
            run(name, run_name="__main__")
        except SystemExit as left:
            assert not left.code, f"{name}: {left.code}"


@contextmanager
def program(argv: list[str]) -> Iterator[list[str]]:
    """Set `sys.argv`, which config flags read too."""
    before, sys.argv = sys.argv, argv
    try:
        yield argv
    finally:
        sys.argv = before
