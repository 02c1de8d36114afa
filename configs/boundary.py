"""Scene boundaries from labels: a head on the shots around each border between two shots.

    python -m vujax.main --config=configs/boundary.py
    python -m vujax.main --config=configs/boundary.py:transformer --config.data.films.path=DIR

The first trains the small similarity head on cinema films, a minute or so on 2 cores. Arguments:
similarity (default), mlp, transformer. `data.films` are arguments of `vujax.data.films.open_films`;
the released folder is what `vujax scenes --head` takes. Learning rates, widths and windows are our
choices; the transformer's sizes are those of BaSSL's contextual relation network.
"""

from ml_collections import ConfigDict


def get_config(arg: str = "similarity") -> ConfigDict:
    """The experiment named `arg`."""
    experiments = {"similarity": similarity, "mlp": mlp, "transformer": transformer}
    if arg not in experiments:
        raise ValueError(f"configs/boundary.py has no '{arg}': use one of {sorted(experiments)}")
    return experiments[arg]()


def base() -> ConfigDict:
    """What all heads share: cinema films, AdamW, a frozen encoder or none."""
    config = ConfigDict()
    config.seed = 0
    config.model = ConfigDict(dict(encoder=None, head=dict()))
    config.method = ConfigDict(dict(name="boundary", encoder="frozen"))  # or 'fine-tuned'
    config.data = ConfigDict(
        dict(
            films=dict(kind="cinema", split="train", encoder="lite"),
            labels_percent=100.0,  # of the scenes, drawn by the seed
            workers=0,
        )
    )
    config.batch_size = 1024
    config.total_steps = 300
    config.micro_batches = 1
    config.fsdp = False
    config.ema_decay = 0.0
    config.optimizer = optimizer()
    config.init_from = ""  # a workdir or release folder whose encoder to start from
    config.init_fresh = ()  # name prefixes ('head/') that start anew all the same
    config.log_steps = 20
    config.checkpoint_steps = 1000
    config.keep_last = 2
    config.keep_every = 0
    config.eval_percent = 100.0
    config.eval_only = False
    config.evals = ConfigDict(
        dict(
            scenes=dict(
                kind="boundaries", films=dict(kind="cinema", split="validation", encoder="lite")
            )
        )
    )
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
