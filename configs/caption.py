"""A small caption decoder on image embeddings of a frozen encoder.

    python -m vujax.main --config=configs/caption.py
    python -m vujax.main --config=configs/caption.py:pairs --config.data.sources.main.path='*.tar'
    python -m vujax.main --config=configs/caption.py:vectors --config.data.sources.main.path=FILE

The first command trains on frames of synthetic films, minutes on 2 cores, most of them spent on
embeddings, which are cached in data.cache. `pairs` reads the WebDataset shards of
`data.sources.main.path` (set `data.sources.main.kind` for other formats); `vectors` reads a Parquet
file of embeddings and captions (`vujax.data.captions`). `vujax caption --decoder` reads their
releases. Sizes and rates are our choices.
"""

import runpy
from pathlib import Path
from types import SimpleNamespace

from ml_collections import ConfigDict

common = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("common.py"))))


def get_config(arg: str = "cinema") -> ConfigDict:
    """Build the experiment named `arg`."""
    return common.build_experiment("configs/caption.py", arg, (cinema, pairs, vectors))


def base() -> ConfigDict:
    """Return a decoder of three layers on the embeddings of EfficientNet-Lite0."""
    config = common.base()
    config.model = ConfigDict(
        dict(
            encoder="lite",  # as for --encoder
            dim=1280,  # size of its embeddings
            vocab=4096,
            context=32,
            prefix=4,
            width=192,
            layers=3,
            heads=3,
            dropout=0.2,
        )
    )
    config.method = ConfigDict(dict(name="caption", label_smoothing=0.0))
    config.data = ConfigDict(dict(sources=dict(), cache="runs/vectors"))
    config.batch_size = 128
    config.total_steps = 1000
    config.log_steps = 20
    return config


def pairs() -> ConfigDict:
    """Train on any image-text pairs; embeddings are computed first, once."""
    config = base()
    config.data.sources = ConfigDict(dict(main=dict(kind="webdataset", path="")))
    return config


def vectors() -> ConfigDict:
    """Train on existing embeddings."""
    config = base()
    config.data.sources = ConfigDict(dict(main=dict(kind="vectors", path="")))
    return config


def cinema() -> ConfigDict:
    """Train on frames of synthetic films; validate on other films, five captions per frame."""
    config = base()
    frames = dict(kind="cinema", split="train", frames=4096, captions_per_image=5, image_size=112)
    config.data.sources = ConfigDict(dict(main=dict(**frames, generic=0.0, swapped=0.0)))
    config.model.update(dict(vocab=2048, context=24, width=96, layers=2, heads=3))
    config.batch_size = 64
    config.total_steps = 400
    config.optimizer.lr = 2e-3
    held_out = dict(frames, split="validation", frames=512)
    config.evals.captions = ConfigDict(
        dict(
            kind="captions",
            sources=dict(main=held_out),
            train=config.data.sources.to_dict(),  # for baselines: captions, nearest neighbors
            cache=config.data.cache,
        )
    )
    return config
