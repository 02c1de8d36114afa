"""ShotCoL: shot contrastive learning, without labels.

    python -m vujax.main --config=configs/shotcol.py
    python -m vujax.main --config=configs/shotcol.py:features --config.data.films.main.path=FOLDER
    python -m vujax.main --config=configs/shotcol.py:movienet --config.data.films.main.path=FOLDER

The first command trains on keyframes of synthetic films, minutes on 2 cores; `sound` on the audio
of their shots, `both` on both. `features` trains on existing embeddings, one per shot; `movienet`
on the keyframes of tools/prepare_movienet.py, with a ResNet-50, on 8 devices or more. Controls:
`--config.method.mode=soft`, `random`, `instance`, or `simclr` with `--config.method.queue=0`. Every
value is our choice, not the paper's value.
"""

import runpy
from pathlib import Path
from types import SimpleNamespace

from ml_collections import ConfigDict

common = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("common.py"))))


def get_config(arg: str = "cinema") -> ConfigDict:
    """Build the experiment named `arg`."""
    return common.build_experiment(
        "configs/shotcol.py", arg, (cinema, sound, both, features, movienet)
    )


def base() -> ConfigDict:
    """Return the keys that all experiments share."""
    config = common.base()
    config.inputs = ConfigDict()  # shapes of a shot's image, audio or feature
    config.model = ConfigDict(dict(encoder=dict(), projection=()))
    config.method = method()
    config.data = ConfigDict(
        dict(films=dict(), neighbours=8, block=8, ends="shift", walls=0.0, workers=0)
    )
    config.batch_size = 32  # windows; each has `data.block` queries
    config.optimizer.update(dict(weight_decay=1e-4, decay=r".*kernel"))
    config.eval_percent = 50.0
    return config


def method() -> ConfigDict:
    """Return ShotCoL with a momentum encoder and a queue."""
    return ConfigDict(
        dict(
            name="shotcol",
            mode="nearest",
            queue=4096,
            momentum=0.99,
            temperature=0.1,
            mask_radius=-1,
            soft_temperature=0.1,  # of mode "soft"
            augment=dict(),
        )
    )


def features() -> ConfigDict:
    """Train on 512-dimensional embeddings such as VGG19's, one per shot: a minute on one core."""
    config = base()
    config.inputs.feature = (512,)
    config.model.encoder.feature = dict(hidden=(512,), dim=128, unit=True)
    config.data.films.main = dict(kind="features", path="", key="vgg19", pattern="*")
    config.total_steps = 1500
    config.evals.gap = dict(kind="gap", films=dict(config.data.films))
    return config


def cinema() -> ConfigDict:
    """Train on three stacked 48 x 48 pixel keyframes per shot of synthetic films."""
    config = small()
    config.inputs.image = (3, 48, 48, 3)
    config.model.encoder.image = dict(
        encoder="resnet", variant="RN18", blocks=(1, 1, 1, 1), width=16, pool="stack", frames=3
    )
    config.model.encoder.image.update(dict(image_size=48, norm="sync"))
    return config


def sound() -> ConfigDict:
    """Train on the audio of the same films: 2 seconds of each shot, 32 bands."""
    config = small()
    config.inputs.audio = (50, 32)
    config.model.encoder.audio = dict(widths=(8, 16, 32), mels=32)
    for films in (config.data.films.main, config.evals.gap.films.main):
        films.update(dict(audio=True, audio_steps=50, mels=32))
    return config


def both() -> ConfigDict:
    """Train on keyframes and audio, with the unit embeddings of both networks joined."""
    config, images = sound(), cinema()
    config.inputs.image = images.inputs.image
    config.model.encoder.image = images.model.encoder.image
    config.model.encoder.fusion = "unit"
    return config


def small() -> ConfigDict:
    """Return a training of minutes on synthetic films.

    Colors identify places there, so color augmentation is weak.
    """
    config = base()
    config.model.projection = (128, 64)
    films = dict(kind="cinema", image_size=48, frames=3, minutes=3.0)
    config.data.films.main = dict(films, split="train", films=40)
    config.data.neighbours = 4
    config.batch_size = 16
    config.method.queue = 2048
    config.method.augment = dict(colour=0.1, grey=0.0)
    config.optimizer.lr = 2e-3
    config.total_steps = 300
    validation = dict(films, split="validation", films=12)
    config.evals.gap = dict(kind="gap", films=dict(main=validation), batch_size=64)
    return config


def movienet() -> ConfigDict:
    """Train a ResNet-50 on three stacked keyframes per shot of all of MovieNet.

    Batch norm is synchronized: statistics of one device would reveal the pair.
    """
    config = base()
    config.inputs.image = (3, 224, 224, 3)
    config.model.encoder.image = dict(
        encoder="resnet", variant="RN50", pool="stack", frames=3, image_size=224, norm="sync"
    )
    config.model.encoder.dtype = "bfloat16"
    config.model.projection = (2048, 128)
    config.method.update(dict(queue=65536, momentum=0.999, temperature=0.07))
    config.data.films.main = dict(kind="prepared", path="", split="all", frames=3, image_size=224)
    config.data.update(dict(block=1, workers=16))
    config.batch_size = 256
    config.total_epochs = 100.0
    config.optimizer.warmup_steps = 1000
    return config
