"""Movies2Scenes: scene embeddings guided by movie similarity.

    python -m vujax.main --config=configs/movies2scenes.py
    python -m vujax.main --config=configs/movies2scenes.py:movieclip --config.data.guide=genre \\
        --config.data.scenes.path='movieclip/*_labels.txt*' \\
        --config.data.scenes.clips=condensed_movies/clips.csv.gz \\
        --config.data.tables.root=condensed_movies --config.data.tables.ratings=ml-latest-small \\
        --config.data.held_out.lvu=lvu_1.0
    python -m vujax.main --config=configs/movies2scenes.py:catalog \\
        --config.data.scenes.path=CATALOG --config.data.tables.path=CATALOG

The first command trains on keyframes of synthetic films, minutes on 2 cores; `movieclip` on
MovieCLIP's labels of shots, a minute; `catalog` on the embeddings that `vujax embed` computed for a
catalog's shots, with its films' metadata and scenes; `pod` has the size of the paper's training,
30,340 movies, for 256 chips. `data.guide` selects the similar movies: a channel (genre, synopsis,
cowatch, lists, pairs), 'union' of those in `data.channels`, any of these with the movie itself
('union+same'), or a control: all, nearest, random, same, oracle:LABEL, augmentation. Every value is
our choice, not the paper's value.

`--config.init_from=RUN --config.init_part="('encoder/','encoder/encoder/')"` starts from the shot
encoder of a ShotCoL run; `--config.optimizer.rules="(('encoder/encoder/.*',None),('.*',1.0))"`
freezes it.
"""

import runpy
from pathlib import Path
from types import SimpleNamespace

from ml_collections import ConfigDict

common = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("common.py"))))


def get_config(arg: str = "cinema") -> ConfigDict:
    """Build the experiment named `arg`."""
    return common.build_experiment(
        "configs/movies2scenes.py", arg, (cinema, movieclip, catalog, pod)
    )


def base() -> ConfigDict:
    """Return the keys that all experiments share."""
    config = common.base()
    config.inputs = ConfigDict()  # shapes of a shot's image or feature
    config.vectors = ""  # encoder of the features, such as 'lite'; recorded in the release
    config.model = ConfigDict(dict(encoder=dict(), projection=(128, 64)))
    config.method = method()
    config.data = data()
    config.batch_size = 32  # rows of scenes
    config.optimizer.update(dict(weight_decay=1e-2, decay=r".*kernel"))
    config.init_part = ()  # (prefix of the names there, prefix here): take only these parameters
    return config


def method() -> ConfigDict:
    """Return a momentum encoder and a queue."""
    return ConfigDict(
        dict(
            name="movies2scenes",
            queue=4096,
            momentum=0.99,
            temperature=0.1,
            mask_similar=False,
            candidates=4,  # of the permitted scenes; 1: a random one; 0: all, the paper's search
            alone="skip",  # scenes without a permitted one; 'augment': their own second view
            drop=0.2,
            tile=4096,
            min_rank=2.0,  # of the alarm low_rank; below the number of guided directions
            augment=dict(),
        )
    )


def data() -> ConfigDict:
    """Return rows of scenes and their guide."""
    return ConfigDict(
        dict(
            scenes=dict(),  # a kind of vujax.data.scenes and its options
            guide="union",
            k=10,
            channels=dict(genre=dict(), synopsis=dict(), cowatch=dict()),
            tables=dict(),  # a kind of vujax.data.movies.guide.TABLES and its options
            held_out=dict(lvu="", list=""),
            width=32,  # shots per row
            most=8,  # maximum scenes per row
            buckets=(),
            workers=0,
        )
    )


def cinema() -> ConfigDict:
    """Train on three stacked 48 x 48 pixel keyframes of each shot of synthetic films.

    Colors identify places there, so color augmentation is weak.
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
    """Train on MovieCLIP's labels of shots, 150 zeros and ones each: real sequences, no video."""
    config = base()
    config.inputs.feature = (150,)
    config.model.encoder = dict(variant="tiny", width=128, layers=2, heads=4, max_shots=32)
    config.model.encoder.pool = "mean"  # a class token retains fewer directions in 600 steps
    config.data.scenes = dict(kind="movieclip", path="", clips="", max_shots=32)
    config.data.tables = dict(kind="condensed_movies", root="", ratings="")
    config.data.held_out.lvu = ""
    config.method.queue = 10240
    config.method.augment = dict(dropout=0.0)
    config.total_steps = 600
    return config


def catalog() -> ConfigDict:
    """Train on a catalog's shot embeddings of EfficientNet-Lite0, its scenes and metadata."""
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
    """Train on 30,340 movies of about 50 scenes each, with 2,048-dimensional shot embeddings."""
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
