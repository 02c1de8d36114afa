"""Progressive self-distillation of image-text pairs.

    python -m vujax.main --config=configs/distill.py
    python -m vujax.main --config=configs/distill.py:vit_b32 --config.data.sources.main.path='*.tar'

The first command trains on frames of synthetic films, minutes on 2 cores. Arguments: cinema
(default), features, small, vit_b32, vit_l14, rn50. All but cinema read the WebDataset shards of
`data.sources.main.path`; set `data.sources.main.kind` for ArrayRecord, TFDS or tables. `features`
trains two small towers on embeddings of frozen encoders, which are computed once and cached; with
`data.sources.main.kind=features` it reads them from a .parquet or .npz file. The argument
release=DIR fine-tunes a trained or imported model (`vujax weights import`), with its sizes,
weights, tokenizer and preprocessing; --config.optimizer.rules freezes parts of it:

    python -m vujax.main --config=configs/distill.py:release=DIR \\
        --config.data.sources.main.path='*.tar' \\
        --config.optimizer.rules="(('image/.*', None), ('.*', 1.0))"

The recipe at scale (AdamW, b2 0.98, lr 5e-4, weight decay 0.2, 32 epochs) is CLIP's. PSD's values
are our choice, and docs/explanation/psd.md has the reasons. CLIP is
--config.method.unaligned_end=0.0; with --config.method.dropout=0.0 take
--config.method.target=plain.
"""

import runpy
from pathlib import Path
from types import SimpleNamespace

from ml_collections import ConfigDict

common = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("common.py"))))


def get_config(arg: str = "cinema") -> ConfigDict:
    """Build the experiment named `arg`."""
    if arg.startswith("release="):
        return release(arg.removeprefix("release="))
    experiments = (cinema, features, small, vit_b32, vit_l14, rn50)
    return common.build_experiment("configs/distill.py", arg, experiments, "release=DIR")


def base(variant: str, image_size: int, width: int, layers: int, embed_dim: int) -> ConfigDict:
    """Return a CLIP recipe with PSD's targets on WebDataset shards."""
    config = common.base()
    config.model = model(variant, image_size, width, layers, embed_dim)
    config.method = method()
    config.fit_scale_on = ""  # evaluation whose held-out pairs fit the scale of the release
    config.data = data()
    config.batch_size = 4096
    config.total_epochs = 32.0
    config.optimizer.update(dict(lr=5e-4, warmup_steps=2000, weight_decay=0.2))
    config.checkpoint_steps = 1000
    config.eval_percent = 10.0
    return config


def model(variant: str, image_size: int, width: int, layers: int, embed_dim: int) -> ConfigDict:
    """Return the sizes of both towers; `variant` names a ViT ('B/32') or a ResNet ('RN50')."""
    kind = "resnet" if variant.startswith("RN") else "vit"
    config = ConfigDict()
    config.image = ConfigDict(dict(kind=kind, variant=variant, image_size=image_size))
    config.text = ConfigDict(
        dict(width=width, layers=layers, heads=width // 64, context=77, vocab=49408)
    )
    config.embed_dim = embed_dim
    config.act = "gelu"
    config.dtype = "bfloat16"  # of the computation; parameters are float32
    config.remat = "none"
    config.scan = True
    return config


def method() -> ConfigDict:
    """Return our choice of PSD: sharp targets of a teacher without dropout, for 70% of a batch."""
    return ConfigDict(
        dict(
            name="distill",
            loss="softmax",
            target="half_columns",
            teacher="self",
            teacher_decay=0.99,
            teacher_temperature=0.5,
            soft_weight=1.0,
            unaligned_start=0.0,
            unaligned_end=0.7,  # 0.9 where about 40% of the captions are wrong
            unaligned_begin=0.1,  # soft targets from the first step are worse than none
            unaligned_full=0.4,
            dropout=0.1,  # without it: target plain
            label_smoothing=0.0,
            cyclip=0.0,
        )
    )


def data() -> ConfigDict:
    """Return one source; `sources` may have more, mixed by weight."""
    config = ConfigDict()
    config.sources = ConfigDict(dict(main=dict(kind="webdataset", path="", weight=1.0)))
    config.workers = 8
    config.max_bad = 0.01
    return config


def vit_b32() -> ConfigDict:
    """Train ViT-B/32 at 224 px, on 8 chips or more."""
    return base("B/32", 224, 512, 12, 512)


def vit_l14() -> ConfigDict:
    """Train ViT-L/14 at 224 px, with parameters sharded over the devices."""
    config = base("L/14", 224, 768, 12, 768)
    config.fsdp = True
    config.model.remat = "full"
    return config


def rn50() -> ConfigDict:
    """Train CLIP's ResNet-50, the better choice below about 15 million pairs."""
    return base("RN50", 224, 512, 12, 1024)


def release(path: str) -> ConfigDict:
    """Fine-tune a released image-text model; with a frozen tower: LiT (Zhai et al. 2022)."""
    from vujax.models.release import find, read_config

    config = base("B/32", 224, 512, 12, 512)
    config.model = ConfigDict(read_config(find(path))["model"])
    config.init_from = path
    config.batch_size = 1024
    config.total_epochs = 5.0
    config.optimizer.lr = 1e-5
    config.optimizer.warmup_steps = 100
    return config


def small() -> ConfigDict:
    """Train ViT-S/16 at 112 px, for one GPU and a hundred thousand pairs."""
    config = base("S/16", 112, 384, 6, 384)
    config.batch_size = 1024
    config.optimizer.warmup_steps = 500
    return config


def cinema() -> ConfigDict:
    """Train a tiny model on frames of synthetic films at 64 px, minutes on two cores."""
    config = base("Mu/16", 64, 64, 2, 64)
    # Mean pooling learns much sooner than CLIP's single tokens.
    config.model.image.update(dict(width=64, layers=3, heads=2, pool="mean"))
    config.model.text.update(dict(context=24, heads=2, pool="mean"))
    config.model.dtype = "float32"
    config.model.scan = False  # unrolled layers are faster on CPU
    config.data.sources.main = ConfigDict(
        dict(
            kind="cinema",
            weight=1.0,
            split="train",
            frames=30_000,
            keep=True,  # rendering them again would take longer than training on them
            generic=0.2,
            swapped=0.1,
        )
    )
    config.data.workers = 2
    config.batch_size = 128
    config.total_epochs = None
    config.total_steps = 1600
    config.optimizer.lr = 1e-3
    config.optimizer.warmup_steps = 50
    config.log_steps = 10
    config.checkpoint_steps = 200
    config.eval_percent = 25.0
    frames = dict(kind="cinema", split="validation", keep=True)
    # Training frames whose captions and labels the color-histogram baseline may use.
    neighbours = dict(kind="cinema", split="train", frames=5000, keep=True)
    config.evals = ConfigDict(
        dict(
            retrieval=dict(kind="retrieval", source=frames, histogram=neighbours),
            place=cinema_classes("place", frames, neighbours),
            colour=cinema_classes("colour", frames, neighbours),
            character=cinema_classes("character", frames, neighbours),
        )
    )
    return config


def cinema_classes(label: str, frames: dict, neighbours: dict) -> dict:
    """Return zero-shot classification of synthetic frames by one label."""
    return dict(
        kind="zero_shot",
        templates=("{}",),
        source=dict(**frames, label=label),
        histogram=dict(**neighbours, label=label),
    )


def features() -> ConfigDict:
    """Train two small towers on embeddings of frozen encoders, seconds to minutes on a CPU."""
    config = common.base()
    config.model = ConfigDict(
        dict(
            encoder="lite",  # of images, as for --encoder
            image_dim=1280,  # size of its embeddings
            text_encoder="",  # 'minilm' or a model folder; '' takes the text side of the encoder
            text_dim=384,
            hidden=256,
            embed_dim=64,
        )
    )
    config.method = method()
    config.fit_scale_on = ""  # evaluation whose held-out pairs fit the scale of the release
    config.method.name = "distill_features"
    config.method.dropout = 0.3  # the towers' inputs are dropped too, and there are many of them
    config.data = ConfigDict(
        dict(
            sources=dict(main=dict(kind="webdataset", path="")),
            cache="runs/vectors",
            hold_out=dict(field="key", modulo=10, remainder=0),  # modulo 0: nothing is held out
            shuffle_captions=0.0,  # share of wrong captions, for studies of noise
            shuffle_seed=0,
        )
    )
    config.batch_size = 256
    config.optimizer.warmup_steps = 0
    config.total_epochs = 36.0
    config.log_steps = 20
    config.eval_percent = 10.0
    config.evals.retrieval = ConfigDict(dict(kind="feature_retrieval"))
    # Shared, so that one override changes both.
    config.evals.retrieval.cache = config.data.get_ref("cache")
    config.evals.retrieval.sources = config.data.sources
    config.evals.retrieval.hold_out = config.data.hold_out
    return config
