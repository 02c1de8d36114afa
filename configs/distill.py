"""Progressive self-distillation of image-text pairs.

    python -m vujax.main --config=configs/distill.py
    python -m vujax.main --config=configs/distill.py:vit_b32 --config.data.sources.main.path='*.tar'

The first trains on the procedural cinema, minutes on 2 cores (README: what to expect). Arguments:
cinema (default), small, vit_b32, vit_l14, rn50. All but cinema read the WebDataset shards that
`data.sources.main.path` names; set `data.sources.main.kind` for ArrayRecord, TFDS or tables.
An argument release=DIR fine-tunes a model that was trained or imported (`vujax weights import`):
its sizes, weights, tokenizer and resizing of pictures are taken; --config.optimizer.rules says what
of it stays as it is:

    python -m vujax.main --config=configs/distill.py:release=DIR \\
        --config.data.sources.main.path='*.tar' \\
        --config.optimizer.rules="(('image/.*', None), ('.*', 1.0))"

The recipe at scale (AdamW, b2 0.98, lr 5e-4, weight decay 0.2, 32 epochs) is CLIP's; the schedule
of the unaligned share is our choice.
"""

from ml_collections import ConfigDict


def get_config(arg: str = "cinema") -> ConfigDict:
    """The experiment named `arg`."""
    experiments = {
        "cinema": cinema,
        "small": small,
        "vit_b32": vit_b32,
        "vit_l14": vit_l14,
        "rn50": rn50,
    }
    if arg.startswith("release="):
        return release(arg.removeprefix("release="))
    if arg not in experiments:
        raise ValueError(
            f"configs/distill.py has no '{arg}': use one of {sorted(experiments)} or release=DIR"
        )
    return experiments[arg]()


def base(variant: str, image_size: int, width: int, layers: int, embed_dim: int) -> ConfigDict:
    """A CLIP recipe with PSD's targets on the WebDataset shards of `data.sources.main.path`."""
    config = ConfigDict()
    config.seed = 0
    config.model = model(variant, image_size, width, layers, embed_dim)
    config.method = method()
    config.data = data()
    config.batch_size = 4096
    config.total_epochs = 32.0
    config.micro_batches = 1  # parts of a batch held at a time; all negatives are kept
    config.fsdp = False  # divide parameters and optimizer state among the devices
    config.ema_decay = 0.0  # above 0: evaluate and release averaged parameters
    config.optimizer = optimizer()
    config.init_from = ""  # a workdir or release folder to fine-tune
    config.init_fresh = ()  # name prefixes ('text/') that start anew all the same
    config.log_steps = 50
    config.checkpoint_steps = 1000
    config.keep_last = 2
    config.keep_every = 0
    config.eval_percent = 10.0
    config.eval_only = False
    config.evals = ConfigDict()
    return config


def model(variant: str, image_size: int, width: int, layers: int, embed_dim: int) -> ConfigDict:
    """Sizes of both towers; `variant` names a ViT ('B/32') or a ResNet ('RN50')."""
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
    """PSD as we choose it: swapped targets by the model itself for up to 80% of a batch."""
    return ConfigDict(
        dict(
            name="distill",
            loss="softmax",
            target="swapped",
            teacher="self",
            teacher_decay=0.99,
            teacher_temperature=1.0,
            soft_weight=1.0,
            unaligned_start=0.0,
            unaligned_end=0.8,
            label_smoothing=0.0,
            cyclip=0.0,
        )
    )


def data() -> ConfigDict:
    """One source; `sources` may hold more, mixed by weight."""
    config = ConfigDict()
    config.sources = ConfigDict(dict(main=dict(kind="webdataset", path="", weight=1.0)))
    config.workers = 8
    config.max_bad = 0.01
    return config


def optimizer() -> ConfigDict:
    """AdamW with warm-up and cosine decay."""
    return ConfigDict(
        dict(
            lr=5e-4,
            schedule="cosine",
            warmup_steps=2000,
            final=0.0,
            b1=0.9,
            b2=0.98,
            eps=1e-6,
            weight_decay=0.2,
            decay=r".*(kernel|embedding)",
            clip_norm=1.0,
            rules=((".*", 1.0),),
        )
    )


def vit_b32() -> ConfigDict:
    """ViT-B/32 at 224 px: `--config.data.sources.main.path='cc12m/*.tar'`, 8 chips or more."""
    return base("B/32", 224, 512, 12, 512)


def vit_l14() -> ConfigDict:
    """ViT-L/14 at 224 px, parameters divided among the devices."""
    config = base("L/14", 224, 768, 12, 768)
    config.fsdp = True
    config.model.remat = "full"
    return config


def rn50() -> ConfigDict:
    """CLIP's ResNet-50, the better choice below about 15 million pairs."""
    return base("RN50", 224, 512, 12, 1024)


def release(path: str) -> ConfigDict:
    """A released image-text model, to fine-tune: LiT (Zhai et al. 2022) with a locked tower."""
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
    """ViT-S/16 at 112 px, for one GPU and a hundred thousand pairs."""
    config = base("S/16", 112, 384, 6, 384)
    config.batch_size = 1024
    config.optimizer.warmup_steps = 500
    return config


def cinema() -> ConfigDict:
    """The procedural cinema at 64 px: a tiny model, minutes on two cores."""
    config = base("Mu/16", 64, 64, 2, 64)
    # Means learn much sooner than CLIP's single tokens do.
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
            keep=True,  # drawing them anew would take longer than learning from them
            generic=0.2,
            swapped=0.1,
        )
    )
    config.data.workers = 2
    # A share of 0.8, or none of the sharpening, held back a model that learns for minutes only.
    config.method.update(dict(unaligned_end=0.4, teacher_temperature=0.5))
    config.batch_size = 128
    config.total_epochs = None
    config.total_steps = 1600
    config.optimizer.lr = 1e-3
    config.optimizer.warmup_steps = 50
    config.log_steps = 10
    config.checkpoint_steps = 200
    config.eval_percent = 25.0
    frames = dict(kind="cinema", split="validation", keep=True)
    # Training frames whose captions and labels a colour-histogram neighbour may use.
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
    """Zero-shot classification of the cinema's frames by one label."""
    return dict(
        kind="zero_shot",
        templates=("{}",),
        source=dict(**frames, label=label),
        histogram=dict(**neighbours, label=label),
    )
