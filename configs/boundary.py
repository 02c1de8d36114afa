"""Scene boundaries from labels: a head on the shots around each shot boundary.

    python -m vujax.main --config=configs/boundary.py
    python -m vujax.main --config=configs/boundary.py:similarity --config.data.films.main.path=DIR
    python -m vujax.main --config=configs/boundary.py --config.init_from=RUN \\
        --config.init_fresh="('head/','projection/')" --config.method.encoder=frozen \\
        --config.optimizer.rules="(('encoder/.*',None),('.*',1.0))"

The first command trains an encoder and a head together on keyframes of synthetic films, minutes on
2 cores. `similarity`, `mlp` and `transformer` train a head on existing embeddings, one per shot;
`vujax scenes --head` reads their releases. The last command starts from the encoder of a ShotCoL
run (configs/shotcol.py) and freezes it: the head is new, the projection is dropped, and the rule
keeps weight decay off the encoder. Learning rates and windows are our choices; the transformer's
sizes are those of BaSSL's contextual relation network.
"""

import runpy
from pathlib import Path
from types import SimpleNamespace

from ml_collections import ConfigDict

common = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("common.py"))))


def get_config(arg: str = "cinema") -> ConfigDict:
    """Build the experiment named `arg`."""
    return common.build_experiment(
        "configs/boundary.py", arg, (cinema, similarity, mlp, transformer)
    )


def base() -> ConfigDict:
    """Return the keys that all experiments share: embeddings of 512 dimensions, AdamW."""
    config = common.base()
    config.inputs = ConfigDict(dict(feature=(512,)))  # shape per shot
    config.model = ConfigDict(dict(encoder=dict(), head=dict()))
    config.method = ConfigDict(dict(name="boundary", encoder="frozen"))  # or 'fine-tuned'
    config.data = ConfigDict(
        dict(
            films=dict(main=dict(kind="features", path="", key="vgg19", pattern="*")),
            labels_percent=100.0,  # share of labeled scenes, drawn by the seed
            workers=0,
        )
    )
    config.batch_size = 1024  # shot boundaries
    config.total_steps = 200
    config.optimizer.update(dict(lr=3e-3, warmup_steps=0))
    config.log_steps = 20
    return config


def similarity() -> ConfigDict:
    """Train a head on local similarities: some hundred weights, embeddings of any encoder."""
    config = base()
    config.model.head = ConfigDict(
        dict(
            kind="similarity",
            reach=6,
            hidden=(16, 16),
            dropout=0.3,
            scale="film",  # normalization of cosines per film: 'film', 'lag', 'rank', 'none'
            gain=0.4,
        )
    )
    return config


def mlp() -> ConfigDict:
    """Train dense layers on the embeddings of 2 x 4 shots."""
    config = base()
    config.model.head = ConfigDict(dict(kind="mlp", before=4, after=4, hidden=(256,), dropout=0.5))
    config.batch_size = 256
    config.optimizer.lr = 1e-3
    return config


def transformer() -> ConfigDict:
    """Train a transformer of BaSSL's sizes: 17 shots, 2 layers, width 768; for an accelerator."""
    config = base()
    config.model.head = ConfigDict(
        dict(
            kind="transformer",
            before=9,
            after=8,
            width=768,
            layers=2,
            heads=8,
            hidden=3072,
            dropout=0.1,
        )
    )
    config.batch_size = 256
    config.total_steps = 2000
    config.optimizer.update(dict(lr=1e-4, warmup_steps=100))
    return config


def cinema() -> ConfigDict:
    """Train encoder and head together on 48 x 48 pixel keyframes of synthetic films."""
    config = mlp()
    config.inputs = ConfigDict(dict(image=(3, 48, 48, 3)))
    config.model.encoder.image = dict(
        encoder="resnet", variant="RN18", width=16, pool="mean", frames=3, image_size=48
    )
    config.model.encoder.image.norm = "group"
    config.method.encoder = "fine-tuned"
    config.data.films.main = ConfigDict(
        dict(kind="cinema", split="train", films=40, image_size=48, frames=3, minutes=3.0)
    )
    config.batch_size = 32
    config.total_steps = 300
    films = dict(config.data.films.main, split="validation", films=12)
    config.evals.borders = dict(kind="borders", films=dict(main=films))
    return config
