"""A small caption decoder on vectors of pictures, by an encoder that stays as it is.

    python -m vujax.main --config=configs/caption.py
    python -m vujax.main --config=configs/caption.py:pairs --config.data.sources.main.path='*.tar'
    python -m vujax.main --config=configs/caption.py:vectors --config.data.sources.main.path=FILE

The first learns from frames of the procedural cinema, minutes on 2 cores, most of them spent on
their vectors, which are kept in data.cache. `pairs` reads the WebDataset shards that
`data.sources.main.path` names (set `data.sources.main.kind` for other formats); `vectors` a Parquet
file of vectors and captions (`vujax.data.captions`). What they release is what
`vujax caption --decoder` takes. Sizes and rates are our choices.
"""

from ml_collections import ConfigDict


def get_config(arg: str = "cinema") -> ConfigDict:
    """The experiment named `arg`."""
    experiments = {"cinema": cinema, "pairs": pairs, "vectors": vectors}
    if arg not in experiments:
        raise ValueError(f"configs/caption.py has no '{arg}': use one of {sorted(experiments)}")
    return experiments[arg]()


def base() -> ConfigDict:
    """A decoder of three layers on the vectors of EfficientNet-Lite0."""
    config = ConfigDict()
    config.seed = 0
    config.model = ConfigDict(
        dict(
            encoder="lite",  # what --encoder takes
            dim=1280,  # numbers of its vectors
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
    config.micro_batches = 1
    config.fsdp = False
    config.ema_decay = 0.0
    config.optimizer = optimizer()
    config.init_from = ""  # a workdir or release folder to start from
    config.init_fresh = ()  # name prefixes ('project/') that start anew all the same
    config.log_steps = 20
    config.checkpoint_steps = 500
    config.keep_last = 2
    config.keep_every = 0
    config.eval_percent = 100.0
    config.eval_only = False
    config.evals = ConfigDict()
    return config


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
            weight_decay=0.1,
            decay=r".*(kernel|embedding)",
            clip_norm=1.0,
            rules=((".*", 1.0),),
        )
    )


def pairs() -> ConfigDict:
    """Any image-text pairs; vectors are made first, once."""
    config = base()
    config.data.sources = ConfigDict(dict(main=dict(kind="webdataset", path="")))
    return config


def vectors() -> ConfigDict:
    """Vectors that are there already."""
    config = base()
    config.data.sources = ConfigDict(dict(main=dict(kind="vectors", path="")))
    return config


def cinema() -> ConfigDict:
    """Frames of procedural films; validated on frames of other films, five captions each."""
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
            train=config.data.sources.to_dict(),  # for baselines: its captions, its neighbours
            cache=config.data.cache,
        )
    )
    return config
