"""Preprocessing of a published model: resizing, normalization, and its tokenizer as one file.

A tokenizer is CLIP's, which vujax has (open_clip's and OpenAI's weights), a file tokenizer.json,
completed by what transformers stores beside it: lower case, the length of texts, and padding; or
SigLIP's spiece.model.
"""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from vujax.models.image_spec import MEAN, STD, ImageSpec
from vujax.models.pretrained.huggingface import parse_square
from vujax.models.pretrained.published import PublishedModel, read_json
from vujax.models.tokenizers.clip import VOCAB
from vujax.models.tokenizers.huggingface import (
    MISSING_TOKENIZERS,
    open_sentencepiece_file,
    open_tokenizer_file,
)

FILE, PIECES = "tokenizer.json", "spiece.model"
START, END = "<|startoftext|>", "<|endoftext|>"
# Words as CLIP splits them: special tokens, English contractions, letters, one digit, the rest.
WORDS = (
    r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
)

SAMPLINGS = {2: "bilinear", 3: "bicubic"}  # Pillow's constants

HALF = (0.5, 0.5, 0.5)


CLIP = dict(resize="shortest", interpolation="bicubic", mean=MEAN, std=STD)
SIGLIP = dict(resize="squash", interpolation="bicubic", mean=HALF, std=HALF)
FAMILIES = {
    "clip": CLIP,
    "open_clip": CLIP,
    "siglip": SIGLIP,
    "siglip2": SIGLIP | {"interpolation": "bilinear"},
}
"""Preprocessing of the families whose files state none, options of `ImageSpec`."""


def read_preprocessing(published: PublishedModel, image_size: int) -> tuple[ImageSpec, bool]:
    """Read the preprocessing of a model's images.

    Returns:
      The preprocessing, and True if the model's files state it, False for the family's default.

    Raises:
      ValueError: the preprocessing is not supported.
    """
    if published.layout == "open_clip":
        settings = published.settings.get("preprocess_cfg")
        where = f"{published.path}: preprocess_cfg"
        vision = (published.settings.get("model_cfg") or {}).get("vision_cfg") or {}
        given = {"mean": vision.get("image_mean"), "std": vision.get("image_std")}
        given = {name: value for name, value in given.items() if value} | (settings or {})
        return _open_clip(given, where, image_size), settings is not None
    family = ImageSpec.square(image_size, **FAMILIES[published.family])
    settings = published.json("preprocessor_config.json")
    if settings is None:
        settings = (published.json("processor_config.json") or {}).get("image_processor")
    if settings is None:
        return family, False
    return _transformers(settings, family, f"{published.path}: its image processor"), True


def _open_clip(settings: Mapping[str, Any], where: str, image_size: int) -> ImageSpec:
    resize = settings.get("resize_mode") or CLIP["resize"]
    interpolation = settings.get("interpolation") or CLIP["interpolation"]
    if resize not in ("shortest", "squash") or interpolation not in SAMPLINGS.values():
        raise ValueError(
            f"{where} resizes by {resize!r} and {interpolation!r}; expected shortest or squash, "
            "and bicubic or bilinear"
        )
    if settings.get("size") is not None:
        _check_size(parse_square(settings["size"], f"{where}: size"), image_size, where)
    mean, std = (
        _check_channels(settings.get(n) or d, where) for n, d in (("mean", MEAN), ("std", STD))
    )
    return ImageSpec.square(
        image_size, mean=mean, std=std, resize=resize, interpolation=interpolation
    )


def _transformers(settings: Mapping[str, Any], family: ImageSpec, where: str) -> ImageSpec:
    for step in ("do_resize", "do_rescale", "do_normalize"):
        if settings.get(step) is False:
            raise ValueError(f"{where}: {step} = false is not supported")
    if abs(settings.get("rescale_factor", 1 / 255) * 255 - 1) > 1e-3:
        raise ValueError(f"{where}: rescale_factor must be 1/255, got {settings['rescale_factor']}")
    sampling = SAMPLINGS.get(settings.get("resample"), family.interpolation)
    if settings.get("resample", 3) not in SAMPLINGS:
        raise ValueError(
            f"{where}: unknown resample {settings['resample']}; expected one of: {SAMPLINGS}"
        )
    resize = _resize(settings, family, where)
    mean = _check_channels(settings.get("image_mean") or family.mean, where)
    std = _check_channels(settings.get("image_std") or family.std, where)
    return dataclasses.replace(family, mean=mean, std=std, resize=resize, interpolation=sampling)


def _resize(settings: Mapping[str, Any], family: ImageSpec, where: str) -> str:
    """Return 'shortest' or 'squash'; check that every stated size is the model's."""
    size, crop, image_size = settings.get("size"), settings.get("crop_size"), family.height
    if isinstance(size, Mapping) and "shortest_edge" in size:
        resize, named = "shortest", size["shortest_edge"]
    elif isinstance(size, Mapping):
        resize, named = "squash", [size.get("height"), size.get("width")]
    else:
        resize, named = family.resize, image_size if size is None else size
    _check_size(parse_square(named, f"{where}: size"), image_size, where)
    has_crop = settings.get("do_center_crop", family.resize == "shortest")
    if resize == "shortest" and not has_crop:
        raise ValueError(f"{where}: do_center_crop = false gives images that are not square")
    if has_crop and crop is not None:
        sides = [crop.get("height"), crop.get("width")] if isinstance(crop, Mapping) else crop
        _check_size(parse_square(sides, f"{where}: crop_size"), image_size, where)
    return resize


def _check_size(size: int, image_size: int, where: str) -> None:
    if size != image_size:
        raise ValueError(
            f"{where} gives images of {size} pixels for a model of {image_size}: resizing to "
            "another size than the model's is not supported"
        )


def _check_channels(values: Any, where: str) -> tuple[float, ...]:
    if len(values) != 3 or not all(isinstance(value, int | float) for value in values):
        raise ValueError(f"{where} has {values!r}, expected three numbers")
    return tuple(map(float, values))


class PublishedTokenizer(NamedTuple):
    """Tokenizer of a published model.

    Attributes:
      settings: `tokenizer` of a release's config, see `vujax.models.inputs`.
      data: contents of the file that `settings` name; None: CLIP's own, which vujax has.
      stated: True if the model's files state it, False if it is the family's default.
    """

    settings: dict[str, Any]
    data: bytes | None
    stated: bool


def read_tokenizer(published: PublishedModel, text: dict[str, Any]) -> PublishedTokenizer:
    """Read the tokenizer for a text tower with these settings ('context', 'vocab').

    Raises:
      FileNotFoundError: the model has no tokenizer.
      ValueError: it is damaged, or has tokens outside the tower's vocabulary.
      ImportError: the extra [sentences] is not installed.
    """
    if published.layout != "transformers":
        return _use_clip(published, text, stated=True)
    folder, family = published.folder, published.family
    if (folder / FILE).is_file():
        opened = open_tokenizer_file(folder / FILE)
    elif (folder / "vocab.json").is_file() and (folder / "merges.txt").is_file():
        opened = build_byte_pairs(folder / "vocab.json", folder / "merges.txt")
    elif published.is_siglip and (folder / PIECES).is_file():
        return _read_pieces(published, text)
    elif family == "clip":
        return _use_clip(published, text, stated=False)
    else:
        raise FileNotFoundError(
            f"{folder} has no tokenizer: put the model's {FILE} or {PIECES} there"
        )
    return _complete(opened, published, text)


def _read_pieces(published: PublishedModel, text: dict[str, Any]) -> PublishedTokenizer:
    """Read SigLIP's spiece.model, which is used as it is."""
    path, settings = published.folder / PIECES, published.json("tokenizer_config.json") or {}
    opened = open_sentencepiece_file(path)
    _check_largest(published, opened.get_piece_size() - 1, text)
    pad = _pad_token(published, settings, "</s>")
    if opened.piece_to_id(pad) == opened.unk_id():
        raise ValueError(f"{published.path}: its tokenizer lacks its padding token {pad!r}")
    lower = settings.get("do_lower_case", True)
    options = dict(kind="sentencepiece", file=PIECES, lower=lower, pad=pad)
    return PublishedTokenizer(options, path.read_bytes(), True)


def _check_largest(published: PublishedModel, largest: int, text: dict[str, Any]) -> None:
    if largest >= text["vocab"]:
        raise ValueError(
            f"{published.path}: its tokenizer has a token {largest}, but the vocabulary of its "
            f"text tower is {text['vocab']}: they do not belong together"
        )


def _use_clip(
    published: PublishedModel, text: dict[str, Any], *, stated: bool
) -> PublishedTokenizer:
    if text["vocab"] != VOCAB:
        raise FileNotFoundError(
            f"{published.path} has a vocabulary of {text['vocab']} tokens, so its tokenizer is not "
            f"CLIP's of {VOCAB}, and it brings none: put the model's {FILE} into its folder"
        )
    return PublishedTokenizer({"kind": "clip"}, None, stated)


def _complete(opened: Any, published: PublishedModel, text: dict[str, Any]) -> PublishedTokenizer:
    """Complete an opened tokenizer.json by the family's normalization, truncation and padding.

    SigLIP's pieces are a unigram model of canonical texts; SigLIP2's are Gemma's byte pairs, of
    texts in lower case, whatever the class of the tokenizer that its files name.
    """
    from tokenizers import normalizers

    settings = published.json("tokenizer_config.json") or {}
    kind = json.loads(opened.to_str())["model"]["type"]
    siglip = published.is_siglip
    canonical, second = siglip and kind == "Unigram", siglip and kind == "BPE"
    lowers = not canonical and (second or settings.get("do_lower_case"))
    if lowers and '"Lowercase"' not in opened.to_str():
        rest = [opened.normalizer] if opened.normalizer else []
        opened.normalizer = normalizers.Sequence([normalizers.Lowercase(), *rest])
    _check_largest(
        published, max(opened.get_vocab(with_added_tokens=True).values(), default=0), text
    )
    default = "<pad>" if second else "</s>" if siglip else "<|endoftext|>"
    token = _pad_token(published, settings, default)
    number = opened.token_to_id(token)
    if number is None:
        raise ValueError(f"{published.path}: its tokenizer lacks its padding token {token!r}")
    side = settings.get("padding_side") or ("left" if second else "right")
    length = text["context"]
    opened.enable_truncation(length)
    opened.enable_padding(direction=side, pad_id=number, pad_token=token, length=length)
    options: dict[str, Any] = dict(kind="file", file=FILE)
    if canonical:
        options |= dict(canonical=True, lower=settings.get("do_lower_case", True))
    return PublishedTokenizer(options, opened.to_str().encode(), True)


def _pad_token(published: PublishedModel, settings: dict[str, Any], default: str) -> str:
    for place in (settings, published.json("special_tokens_map.json") or {}):
        token = place.get("pad_token")
        token = token.get("content") if isinstance(token, dict) else token
        if isinstance(token, str):
            return token
    return default


def build_byte_pairs(vocab: Path, merges: Path) -> Any:
    """Build CLIP's tokenizer from its two older files, as transformers does.

    Raises:
      ValueError: a file is damaged.
      ImportError: the extra [sentences] is not installed.
    """
    try:
        import tokenizers
        from tokenizers import models, normalizers, pre_tokenizers, processors
    except ImportError as error:
        raise ImportError(MISSING_TOKENIZERS) from error
    words = read_json(vocab)
    lines = merges.read_text(encoding="utf-8").splitlines()
    pairs = [tuple(line.split(" ")) for line in lines if line and not line.startswith("#version")]
    try:
        bpe = models.BPE(
            words, pairs, end_of_word_suffix="</w>", continuing_subword_prefix="", unk_token=END
        )
        special = [(token, words[token]) for token in (END, START)]
    except Exception as error:  # the package raises bare Exceptions
        raise ValueError(
            f"{vocab} and {merges.name} are not a tokenizer of CLIP: {error}"
        ) from None
    tokenizer = tokenizers.Tokenizer(bpe)
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.NFC(),
            normalizers.Replace(tokenizers.Regex(r"\s+"), " "),
            normalizers.Lowercase(),
        ]
    )
    split = pre_tokenizers.Split(tokenizers.Regex(WORDS), behavior="removed", invert=True)
    level = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, level])
    tokenizer.post_processor = processors.RobertaProcessing(
        special[0], special[1], trim_offsets=False, add_prefix_space=False
    )
    tokenizer.add_special_tokens([token for token, _ in special])
    return tokenizer
