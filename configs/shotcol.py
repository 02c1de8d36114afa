"""ShotCoL: shot contrastive learning, without labels.

    python -m vujax.main --config=configs/shotcol.py
    python -m vujax.main --config=configs/shotcol.py:features --config.data.films.main.path=FOLDER
    python -m vujax.main --config=configs/shotcol.py:movienet --config.data.films.main.path=FOLDER

The first trains on keyframes of the procedural cinema, minutes on 2 cores (README: what to expect),
`sound` on what its shots sound like, `both` on both. `features` learns from vectors that are there
already, one a shot; `movienet` from the keyframes that tools/prepare_movienet.py wrote, with a
ResNet-50, on 8 devices or more. Controls: `--config.method.mode=instance`, `random`, or `simclr`
with `--config.method.queue=0`. The paper's own values are not known to us: those of `movienet` are
remembered ones, the rest our choices.
"""

from ml_collections import ConfigDict


def get_config(arg: str = "cinema") -> ConfigDict:
    """The experiment named `arg`."""
    experiments = {
        "cinema": cinema,
        "sound": sound,
        "both": both,
        "features": features,
        "movienet": movienet,
    }
    if arg not in experiments:
        raise ValueError(f"configs/shotcol.py has no '{arg}': use one of {sorted(experiments)}")
    return experiments[arg]()


def base() -> ConfigDict:
    """What all have in common."""
    config = ConfigDict()
    config.seed = 0
    config.inputs = ConfigDict()  # shape of what a shot looks, sounds like, or has as a feature
    config.model = ConfigDict(dict(encoder=dict(), projection=()))
    config.method = method()
    config.data = ConfigDict(dict(films=dict(), neighbours=8, block=8, ends="shift", workers=0))
    config.batch_size = 32  # windows; each has `data.block` queries
    config.micro_batches = 1
    config.fsdp = False
    config.ema_decay = 0.0
    config.optimizer = optimizer()
    config.init_from = ""  # a workdir or release folder to go on from
    config.init_fresh = ()
    config.log_steps = 50
    config.checkpoint_steps = 500
    config.keep_last = 2
    config.keep_every = 0
    config.eval_percent = 50.0
    config.eval_only = False
    config.evals = ConfigDict()
    return config


def method() -> ConfigDict:
    """ShotCoL with a momentum encoder and a queue."""
    return ConfigDict(
        dict(
            name="shotcol",
            mode="nearest",
            queue=4096,
            momentum=0.99,
            temperature=0.1,
            mask_radius=-1,
            augment=dict(),
        )
    )


def optimizer() -> ConfigDict:
    """AdamW with warm-up and cosine decay."""
    return ConfigDict(
        dict(
            lr=1e-3,
            schedule="cosine",
            warmup_steps=50,
            final=0.0,
            b1=0.9,
            b2=0.98,
            eps=1e-6,
            weight_decay=1e-4,
            decay=r".*kernel",
            clip_norm=1.0,
            rules=((".*", 1.0),),
        )
    )


def features() -> ConfigDict:
    """Vectors of 512 numbers, such as VGG19's, one a shot: a minute on one core."""
    config = base()
    config.inputs.feature = (512,)
    config.model.encoder.feature = dict(hidden=(512,), dim=128, unit=True)
    config.data.films.main = dict(kind="features", path="", key="vgg19", pattern="*")
    config.total_steps = 1500
    config.evals.gap = dict(kind="gap", films=dict(config.data.films))
    return config


def cinema() -> ConfigDict:
    """Three keyframes of 48 x 48 pixels of procedural films, stacked."""
    config = small()
    config.inputs.image = (3, 48, 48, 3)
    config.model.encoder.image = dict(
        encoder="resnet", variant="RN18", blocks=(1, 1, 1, 1), width=16, pool="stack", frames=3
    )
    config.model.encoder.image.update(dict(image_size=48, norm="sync"))
    return config


def sound() -> ConfigDict:
    """What the same films sound like: 2 seconds of each shot, 32 bands."""
    config = small()
    config.inputs.audio = (50, 32)
    config.model.encoder.audio = dict(widths=(8, 16, 32), mels=32)
    for films in (config.data.films.main, config.evals.gap.films.main):
        films.update(dict(audio=True, audio_steps=50, mels=32))
    return config


def both() -> ConfigDict:
    """Pictures and sound, each network's vector over its length, joined."""
    config, pictures = sound(), cinema()
    config.inputs.image = pictures.inputs.image
    config.model.encoder.image = pictures.model.encoder.image
    config.model.encoder.fusion = "unit"
    return config


def small() -> ConfigDict:
    """Films of the cinema, and a training of minutes.

    Colours tell places apart there, so that views keep theirs.
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
    """A ResNet-50 whose first convolution takes three stacked keyframes, on the whole of MovieNet.

    Batch norm is synchronised, since a device's own statistics would betray the pair.
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
