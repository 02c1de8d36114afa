"""Movies2Scenes: vectors of scenes, guided by which movies are alike.

    python -m vujax.main --config=configs/movies2scenes.py
    python -m vujax.main --config=configs/movies2scenes.py:movieclip --config.data.guide=genre \\
        --config.data.scenes.path='movieclip/*_labels.txt*' \\
        --config.data.scenes.clips=condensed_movies/clips.csv.gz \\
        --config.data.tables.root=condensed_movies --config.data.tables.ratings=ml-latest-small \\
        --config.data.held_out.lvu=lvu_1.0
    python -m vujax.main --config=configs/movies2scenes.py:catalog \\
        --config.data.scenes.path=CATALOG --config.data.tables.path=CATALOG

The first learns from keyframes of the procedural cinema, minutes on 2 cores; `movieclip` from
MovieCLIP's labels of shots, a minute; `catalog` from the vectors that `vujax embed` made of a
catalogue's shots, its films' own metadata and scenes; `pod` is the size of the paper's training,
30,340 movies, for 256 chips. `data.guide` is the one word that says which movies guide: a channel
(genre, synopsis, cowatch, lists, pairs), 'union' of those in `data.channels`, or a control: all,
random, same, augmentation. Every value is our choice: the paper's are not known to us.

The shot encoder of a ShotCoL run starts a training with
`--config.init_from=RUN --config.init_part="('encoder/','encoder/encoder/')"`; and
`--config.optimizer.rules="(('encoder/encoder/.*',None),('.*',1.0))"` leaves it as it is.
"""

from ml_collections import ConfigDict


def get_config(arg: str = "cinema") -> ConfigDict:
    """The experiment named `arg`."""
    experiments = {"cinema": cinema, "movieclip": movieclip, "catalog": catalog, "pod": pod}
    if arg not in experiments:
        raise ValueError(
            f"configs/movies2scenes.py has no '{arg}': use one of {sorted(experiments)}"
        )
    return experiments[arg]()


def base() -> ConfigDict:
    """What all have in common."""
    config = ConfigDict()
    config.seed = 0
    config.inputs = ConfigDict()  # shape of what a shot looks like, or has as a feature
    config.vectors = ""  # whose vectors the features are, such as 'lite'; kept in the release
    config.model = ConfigDict(dict(encoder=dict(), projection=(128, 64)))
    config.method = method()
    config.data = data()
    config.batch_size = 32  # rows of scenes
    config.micro_batches = 1
    config.fsdp = False
    config.ema_decay = 0.0
    config.optimizer = optimizer()
    config.init_from = ""  # a workdir or release folder to go on from
    config.init_fresh = ()
    config.init_part = ()  # (prefix of the names there, prefix here): only this part of it
    config.log_steps = 50
    config.checkpoint_steps = 500
    config.keep_last = 2
    config.keep_every = 0
    config.eval_percent = 100.0
    config.eval_only = False
    config.evals = ConfigDict()
    return config


def method() -> ConfigDict:
    """A momentum encoder and a queue."""
    return ConfigDict(
        dict(
            name="movies2scenes",
            queue=4096,
            momentum=0.99,
            temperature=0.1,
            mask_similar=False,
            drop=0.2,
            tile=4096,
            augment=dict(),
        )
    )


def data() -> ConfigDict:
    """Rows of scenes, and what guides them."""
    return ConfigDict(
        dict(
            scenes=dict(),  # a kind of vujax.data.scenes and its options
            guide="union",
            k=10,
            channels=dict(genre=dict(), synopsis=dict(), cowatch=dict()),
            tables=dict(),  # a kind of vujax.data.movies.guide.TABLES and its options
            held_out=dict(lvu="", list=""),
            width=32,  # shots of a row
            most=8,  # scenes of a row
            buckets=(),
            workers=0,
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
            weight_decay=1e-2,
            decay=r".*kernel",
            clip_norm=1.0,
            rules=((".*", 1.0),),
        )
    )


def cinema() -> ConfigDict:
    """Three keyframes of 48 x 48 pixels of each shot of procedural films, stacked.

    Colours tell places apart there, so that views keep theirs.
    """
    config = base()
    config.inputs.image = (3, 48, 48, 3)
    shots = dict(encoder="resnet", variant="RN18", blocks=(1, 1, 1, 1), width=16)
    shots |= dict(pool="stack", frames=3, image_size=48, norm="group")
    config.model.encoder = dict(
        variant="tiny", width=128, layers=2, heads=4, max_shots=32, encoder=dict(image=shots)
    )
    films = dict(minutes=3.0)
    seen = dict(kind="cinema", image_size=48, frames=3, max_shots=32)
    config.data.scenes = dict(seen, **films, split="train", films=60)
    config.data.tables = dict(kind="cinema", **films, split="train", films=60)
    config.data.k = 5
    config.batch_size = 8
    config.method.queue = 1024
    config.method.augment = dict(colour=0.1, grey=0.0)
    config.total_steps = 300
    return config


def movieclip() -> ConfigDict:
    """MovieCLIP's labels of shots, 150 zeros and ones each: the real sequences, without video."""
    config = base()
    config.inputs.feature = (150,)
    config.model.encoder = dict(variant="tiny", width=128, layers=2, heads=4, max_shots=32)
    config.data.scenes = dict(kind="movieclip", path="", clips="", max_shots=32)
    config.data.tables = dict(kind="condensed_movies", root="", ratings="")
    config.data.held_out.lvu = ""
    config.method.queue = 10240
    config.method.augment = dict(dropout=0.0)
    config.total_steps = 600
    return config


def catalog() -> ConfigDict:
    """Vectors of EfficientNet-Lite0 of the shots of a catalogue, its own scenes and metadata."""
    config = base()
    config.inputs.feature = (1280,)
    config.vectors = "lite"
    config.model.encoder = dict(variant="tiny", width=128, layers=2, heads=4, max_shots=64)
    config.data.scenes = dict(kind="catalog", path="", encoder="lite", images=False)
    config.data.tables = dict(kind="catalog", path="")
    config.data.channels = dict(genre=dict(), synopsis=dict())
    config.data.width, config.data.most = 64, 12
    config.method.queue = 6144
    config.total_steps = 1000
    return config


def pod() -> ConfigDict:
    """30,340 movies of about 50 scenes each, from vectors of 2,048 numbers a shot."""
    config = base()
    config.inputs.feature = (2048,)
    config.model.encoder = dict(variant="base", max_shots=128, dtype="bfloat16", scan=True)
    config.model.projection = (2048, 128)
    films = dict(path="", key="feature")
    config.data.scenes = dict(kind="features", films=films, max_shots=128)
    config.data.tables = dict(kind="tables", path="")
    config.data.width, config.data.most, config.data.workers = 128, 12, 16
    config.batch_size = 1024
    config.method.queue = 1536000
    config.method.momentum = 0.999
    config.total_epochs = 100.0
    config.optimizer.warmup_steps = 1000
    return config
