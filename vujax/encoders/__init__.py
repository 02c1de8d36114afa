"""Encoders: networks that turn images, shots and scenes into embeddings.

    encoder = open_encoder("lite")                  # released: EfficientNet-Lite0
    encoder = open_encoder("runs/mine")             # trained here, or imported
    encoder = open_encoder("google/siglip-base-patch16-224")  # of the hub, imported once
    encoder = open_encoder("runs/mine", "frame")    # an encoder of images, or a ValueError
    encoder = open_encoder("runs/mine:projection")  # embeddings after the layers of training

A catalog keeps embeddings under the encoder's name: 'lite', or the name of the model's directory
with a hash of its weights, see `resolve_name`.
"""

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from vujax.catalog import embeddings
from vujax.encoders import base
from vujax.encoders.base import check_level
from vujax.models import pretrained, release
from vujax.utils.io import check_local
from vujax.utils.registry import Registry

__all__ = [
    "ENCODERS",
    "RELEASED",
    "check_encoder",
    "make_opener",
    "open_encoder",
    "open_released",
    "resolve_name",
]

RELEASED = {"lite": base.LITE_NETWORK}
"""Released encoders, and the weights of `vujax.models.pretrained` that each needs."""

ENCODERS = Registry(
    "encoder of trained models",
    {
        "distill": "vujax.encoders.image_text:ImageTextEncoder",
        "features": "vujax.encoders.image_text:FeatureEncoder",
        "shotcol": "vujax.encoders.shots:SingleShotEncoder",
        "movies2scenes": "vujax.encoders.shots:SceneEncoder",
        "linear_scenes": "vujax.encoders.shots:LinearSceneEncoder",
    },
    entry_points="vujax.encoders",
)
"""Encoders of trained models, by the name that a method's spec gives (`MethodSpec.encoder`)."""


def check_encoder(spec: str) -> None:
    """Raise unless there is such an encoder; fetch published weights at the first use.

    Args:
      spec: see `open_encoder`.

    Raises:
      ValueError: there is none, its directory is damaged, or its model makes no embeddings.
      FileNotFoundError: the directory holds no model.
      OSError: its weights are not available.
      ImportError: a model of the hub needs an extra that is not installed.
    """
    if spec in RELEASED:
        pretrained.fetch_weights(RELEASED[spec])
        return
    path, output = base.split_output(spec)
    if not path.exists():
        raise _unknown_error(spec)
    config = release.read_config(release.find(path))
    _kind(path, config)
    base.select_output(path, config, output)
    if "frozen" in config:
        check_encoder(base.get_frozen(config, "image", spec)[0])


def open_encoder(spec: str, level: str | None = None) -> Any:
    """Open an encoder on this process's devices.

    Args:
      spec: name of a released one, path of a training's workdir or of a release, or ORG/MODEL of
        the hub; with ':projection' at its end, the embeddings are those that ShotCoL and
        Movies2Scenes compare in training.
      level: of `vujax.catalog.embeddings.LEVELS`, at which embeddings are wanted; with 'frame' the
        result is an `Encoder`.

    Returns:
      An `Encoder` or a `ShotEncoder`, as its `native_levels` tell.

    Raises:
      ValueError: there is none, it is damaged, or it has no embeddings of that level.
      FileNotFoundError: the directory holds no model.
      OSError: its weights are not available.
    """
    check_encoder(spec)
    encoder = open_released() if spec in RELEASED else _open_trained(spec)
    if level is not None:
        check_level(encoder, level)
    return encoder


def open_released() -> base.Encoder:
    """Open the one encoder of RELEASED; the caller has checked its weights."""
    from vujax.encoders.lite import LiteEncoder  # brings JAX

    return LiteEncoder()


def make_opener(spec: str) -> Callable[[], Any]:
    """Return a picklable call that opens an encoder in another process; checked now.

    Raises:
      ValueError, OSError: see `check_encoder`.
    """
    check_encoder(spec)  # what it needs is fetched once, here, not in each worker
    if spec in RELEASED:
        return functools.partial(open_encoder, spec)
    path, output = base.split_output(spec)
    return functools.partial(open_encoder, ":".join([str(path.resolve()), *filter(None, [output])]))


def resolve_name(root: Path, spec: str, digest: str | None = None) -> str:
    """Return the name under which a catalog keeps an encoder's embeddings.

    Args:
      root: directory of the catalog.
      spec: a name in the catalog, with or without a hash; or a model, see `open_encoder`, whose
        weights give the hash: embeddings of its former weights are not its own.
      digest: of that model, by a caller that has opened it; None: its weights are read.

    Raises:
      ValueError: it is neither a name nor a directory, or its model is damaged.
      FileNotFoundError: the directory holds no model, or the catalog lacks its input embeddings.
    """
    path, output = base.split_output(spec)
    if spec in RELEASED or (embeddings.is_name(spec) and not release.is_model(path)):
        return spec
    if not path.exists():
        raise _unknown_error(spec)
    if digest is None:
        config, variables = release.load_host(path)
        digest = base.compute_release_digest(base.select_output(path, config, output), variables)
    else:
        config = release.read_config(release.find(path))
    digest = base.add_input_digest(root, digest, base.get_input_encoder(config))
    return embeddings.build_folder_name(base.derive_name(path, output), digest)


def _unknown_error(spec: str) -> ValueError:
    check_local(spec)
    return ValueError(
        f"unknown encoder {spec!r}; expected {', '.join(RELEASED)} or the directory of a training "
        "or of its release, or ORG/MODEL of the hub"
    )


def _open_trained(spec: str) -> Any:
    path, output = base.split_output(spec)
    config, variables = release.load_host(path)
    make = ENCODERS.load(_kind(path, config))
    config = base.select_output(path, config, output)
    options = {"frozen": _open_frozen(path, config)} if "frozen" in config else {}
    try:
        return make(base.derive_name(path, output), config, variables, **options)
    except (KeyError, TypeError) as error:
        raise ValueError(
            f"{path} is no model that this vujax knows ({type(error).__name__}: {error}): train or "
            "import it again"
        ) from error


def _open_frozen(path: Path, config: Mapping[str, Any]) -> base.Encoder:
    """Open the encoder of images that the towers of a release stand on."""
    spec, digest = base.get_frozen(config, "image", str(path))
    frozen = open_encoder(spec, "frame")
    base.check_frozen_digest(str(path), spec, frozen.digest, digest)
    return frozen


def _kind(path: Path, config: Mapping[str, Any]) -> str:
    """Return the name in ENCODERS that serves a release: its own, or that of its method."""
    method = config.get("method") if isinstance(config, dict) else None
    name = method.get("name") if isinstance(method, dict) else None
    kind = config.get("encoder", name) if isinstance(config, dict) else None
    if kind not in ENCODERS:
        what = "names no method" if name is None else f"is of the method {name!r}"
        raise ValueError(
            f"{path} {what}, and embeddings are made by models of {', '.join(ENCODERS)}: name such "
            "a one"
        )
    return str(kind)
