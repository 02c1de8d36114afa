"""Scene boundaries from labels: a head on the shots around each border between two shots.

    python -m vujax.main --config=configs/boundary.py
    python -m vujax.main --config=configs/boundary.py:similarity --config.data.films.main.path=DIR
    python -m vujax.main --config=configs/boundary.py --config.init_from=RUN \\
        --config.init_fresh="('head/','projection/')" --config.method.encoder=frozen \\
        --config.optimizer.rules="(('encoder/.*',None),('.*',1.0))"

The first trains an encoder and a head together on keyframes of the procedural cinema, minutes on 2
cores. `similarity`, `mlp` and `transformer` train a head on vectors that are there already, one a
shot; what they release is what `vujax scenes --head` takes. The last starts from the encoder of a
ShotCoL run (configs/shotcol.py) and leaves it as it is: the head is new, the projection stays
behind, and the rule keeps weight decay off the encoder. Learning rates and windows are our choices;
the transformer's sizes are those of BaSSL's contextual relation network.
"""

from ml_collections import ConfigDict


def get_config(arg: str = "cinema") -> ConfigDict:
    """The experiment named `arg`."""
    experiments = {
        "cinema": cinema,
        "similarity": similarity,
        "mlp": mlp,
        "transformer": transformer,
    }
    if arg not in experiments:
        raise ValueError(f"configs/boundary.py has no '{arg}': use one of {sorted(experiments)}")
    return experiments[arg]()


def base() -> ConfigDict:
    """What all share: vectors of 512 numbers, AdamW."""
    config = ConfigDict()
    config.seed = 0
    config.inputs = ConfigDict(dict(feature=(512,)))  # shape of what one shot has
    config.model = ConfigDict(dict(encoder=dict(), head=dict()))
    config.method = ConfigDict(dict(name="boundary", encoder="frozen"))  # or 'fine-tuned'
    config.data = ConfigDict(
        dict(
            films=dict(main=dict(kind="features", path="", key="vgg19", pattern="*")),
            labels_percent=100.0,  # of the scenes, drawn by the seed
            workers=0,
        )
    )
    config.batch_size = 1024  # borders
    config.total_steps = 200
    config.micro_batches = 1
    config.fsdp = False
    config.ema_decay = 0.0
    config.optimizer = optimizer()
    config.init_from = ""  # a workdir or release folder whose encoder to start from
    config.init_fresh = ()  # name prefixes ('head/') that start anew all the same
    config.log_steps = 20
    config.checkpoint_steps = 500
    config.keep_last = 2
    config.keep_every = 0
    config.eval_percent = 100.0
    config.eval_only = False
    config.evals = ConfigDict()
    return config


def optimizer() -> ConfigDict:
    """AdamW with cosine decay; add the rule ('encoder/.*', None) to keep an encoder frozen."""
    return ConfigDict(
        dict(
            lr=3e-3,
            schedule="cosine",
            warmup_steps=0,
            final=0.0,
            b1=0.9,
            b2=0.98,
            eps=1e-6,
            weight_decay=0.1,
            decay=r".*(kernel|embedding)",
            clip_norm=1.0,
            rules=((".*", 1.0),),
        )
    )


def similarity() -> ConfigDict:
    """The head over local similarities: some hundred weights, vectors of any encoder."""
    config = base()
    config.model.head = ConfigDict(
        dict(
            kind="similarity",
            reach=6,
            hidden=(16, 16),
            dropout=0.3,
            scale="film",  # a film's cosines: by mean and standard deviation, 'lag', 'rank', 'none'
            gain=0.4,
        )
    )
    return config


def mlp() -> ConfigDict:
    """The vectors of 2 x 4 shots through dense layers."""
    config = base()
    config.model.head = ConfigDict(dict(kind="mlp", before=4, after=4, hidden=(256,), dropout=0.5))
    config.batch_size = 256
    config.optimizer.lr = 1e-3
    return config


def transformer() -> ConfigDict:
    """BaSSL's sizes: 17 shots, 2 layers, 768 wide; for an accelerator."""
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
    """Keyframes of 48 x 48 pixels of procedural films; encoder and head learn together."""
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
