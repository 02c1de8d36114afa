"""How a published model's pictures become its input: resizing, and mean and std of the channels."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from vujax.models.clip import MEAN, STD
from vujax.weights.hugging_face import square
from vujax.weights.published import Published

SAMPLINGS = {2: "bilinear", 3: "bicubic"}  # by Pillow's numbers
HALF = (0.5, 0.5, 0.5)


class Pictures(NamedTuple):
    """A model's way with pictures.

    Attributes:
      resize: 'shortest' or 'squash'; see `vujax.data.images.eval_image`.
      interpolation: 'bicubic' or 'bilinear'.
      mean: of the RGB channels in [0, 1].
      std: likewise.
    """

    resize: str
    interpolation: str
    mean: tuple[float, ...]
    std: tuple[float, ...]


CLIP = Pictures("shortest", "bicubic", MEAN, STD)
SIGLIP = Pictures("squash", "bicubic", HALF, HALF)


def pictures(published: Published, image_size: int) -> tuple[Pictures, bool]:
    """The model's way with pictures, and whether its files say so or its family's is taken.

    Raises:
      ValueError: a way that is not known here.
    """
    if published.layout == "open_clip":
        settings = published.settings.get("preprocess_cfg")
        where = f"{published.path}: preprocess_cfg"
        vision = (published.settings.get("model_cfg") or {}).get("vision_cfg") or {}
        given = {"mean": vision.get("image_mean"), "std": vision.get("image_std")}
        given = {name: value for name, value in given.items() if value} | (settings or {})
        return _open_clip(given, where, image_size), settings is not None
    family = SIGLIP if published.settings.get("model_type") == "siglip" else CLIP
    settings = published.json("preprocessor_config.json")
    if settings is None:
        settings = (published.json("processor_config.json") or {}).get("image_processor")
    if settings is None:
        return family, False
    return _transformers(
        settings, family, f"{published.path}: its image processor", image_size
    ), True


def _open_clip(settings: Mapping[str, Any], where: str, image_size: int) -> Pictures:
    resize = settings.get("resize_mode") or CLIP.resize
    interpolation = settings.get("interpolation") or CLIP.interpolation
    if resize not in ("shortest", "squash") or interpolation not in SAMPLINGS.values():
        raise ValueError(
            f"{where} resizes by {resize!r} and {interpolation!r}: shortest or squash and bicubic "
            "or bilinear are known."
        )
    if settings.get("size") is not None:
        _same(square(settings["size"], f"{where}: size"), image_size, where)
    mean, std = (_channels(settings.get(n) or d, where) for n, d in (("mean", MEAN), ("std", STD)))
    return Pictures(resize, interpolation, mean, std)


def _transformers(
    settings: Mapping[str, Any], family: Pictures, where: str, image_size: int
) -> Pictures:
    for step in ("do_resize", "do_rescale", "do_normalize"):
        if settings.get(step) is False:
            raise ValueError(f"{where} has {step} false, which is not known here.")
    if abs(settings.get("rescale_factor", 1 / 255) * 255 - 1) > 1e-3:
        raise ValueError(f"{where} has rescale_factor {settings['rescale_factor']}, not 1/255.")
    sampling = settings.get("resample", 3)
    if sampling not in SAMPLINGS:
        raise ValueError(f"{where} resizes by Pillow's method {sampling}: {SAMPLINGS} are known.")
    resize = _resize(settings, family, where, image_size)
    mean = _channels(settings.get("image_mean") or family.mean, where)
    std = _channels(settings.get("image_std") or family.std, where)
    return Pictures(resize, SAMPLINGS[sampling], mean, std)


def _resize(settings: Mapping[str, Any], family: Pictures, where: str, image_size: int) -> str:
    """'shortest' or 'squash', once every size that is named is the model's."""
    size, crop = settings.get("size"), settings.get("crop_size")
    if isinstance(size, Mapping) and "shortest_edge" in size:
        resize, named = "shortest", size["shortest_edge"]
    elif isinstance(size, Mapping):
        resize, named = "squash", [size.get("height"), size.get("width")]
    else:
        resize, named = family.resize, image_size if size is None else size
    _same(square(named, f"{where}: size"), image_size, where)
    cut = settings.get("do_center_crop", family.resize == "shortest")
    if resize == "shortest" and not cut:
        raise ValueError(f"{where} makes pictures that are not square: do_center_crop is false.")
    if cut and crop is not None:
        sides = [crop.get("height"), crop.get("width")] if isinstance(crop, Mapping) else crop
        _same(square(sides, f"{where}: crop_size"), image_size, where)
    return resize


def _same(size: int, image_size: int, where: str) -> None:
    if size != image_size:
        raise ValueError(
            f"{where} makes pictures of {size} pixels for a model of {image_size}: resizing to "
            "another size than the model's is not known here."
        )


def _channels(values: Any, where: str) -> tuple[float, ...]:
    if len(values) != 3 or not all(isinstance(value, int | float) for value in values):
        raise ValueError(f"{where} has {values!r} where three numbers should be.")
    return tuple(map(float, values))
