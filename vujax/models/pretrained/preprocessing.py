"""How a published model's pictures become its input: resizing, and mean and std of the channels.

The tokenizer of a published model, as one file tokenizer.json that says all.

Two kinds: CLIP's own, which vujax has (open_clip's and OpenAI's weights), and a file. Into the file
goes what transformers keeps beside it: lower case, the length of texts, and the padding.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from vujax.models.clip import MEAN, STD
from vujax.models.pretrained.huggingface import PublishedModel, parse_square, read_json
from vujax.models.tokenizers.clip import VOCAB
from vujax.models.tokenizers.huggingface import MISSING_TOKENIZERS, open_tokenizer_file

SAMPLINGS = {2: "bilinear", 3: "bicubic"}  # by Pillow's numbers

HALF = (0.5, 0.5, 0.5)


class ImagePreprocessing(NamedTuple):
    """A model's way with pictures.

    Attributes:
      resize: 'shortest' or 'squash'; see `vujax.data.images.preprocess_eval_image`.
      interpolation: 'bicubic' or 'bilinear'.
      mean: of the RGB channels in [0, 1].
      std: likewise.
    """

    resize: str
    interpolation: str
    mean: tuple[float, ...]
    std: tuple[float, ...]


CLIP = ImagePreprocessing("shortest", "bicubic", MEAN, STD)

SIGLIP = ImagePreprocessing("squash", "bicubic", HALF, HALF)


def read_preprocessing(
    published: PublishedModel, image_size: int
) -> tuple[ImagePreprocessing, bool]:
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


def _open_clip(settings: Mapping[str, Any], where: str, image_size: int) -> ImagePreprocessing:
    resize = settings.get("resize_mode") or CLIP.resize
    interpolation = settings.get("interpolation") or CLIP.interpolation
    if resize not in ("shortest", "squash") or interpolation not in SAMPLINGS.values():
        raise ValueError(
            f"{where} resizes by {resize!r} and {interpolation!r}: shortest or squash and bicubic "
            "or bilinear are known."
        )
    if settings.get("size") is not None:
        _same(parse_square(settings["size"], f"{where}: size"), image_size, where)
    mean, std = (_channels(settings.get(n) or d, where) for n, d in (("mean", MEAN), ("std", STD)))
    return ImagePreprocessing(resize, interpolation, mean, std)


def _transformers(
    settings: Mapping[str, Any], family: ImagePreprocessing, where: str, image_size: int
) -> ImagePreprocessing:
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
    return ImagePreprocessing(resize, SAMPLINGS[sampling], mean, std)


def _resize(
    settings: Mapping[str, Any], family: ImagePreprocessing, where: str, image_size: int
) -> str:
    """'shortest' or 'squash', once every size that is named is the model's."""
    size, crop = settings.get("size"), settings.get("crop_size")
    if isinstance(size, Mapping) and "shortest_edge" in size:
        resize, named = "shortest", size["shortest_edge"]
    elif isinstance(size, Mapping):
        resize, named = "squash", [size.get("height"), size.get("width")]
    else:
        resize, named = family.resize, image_size if size is None else size
    _same(parse_square(named, f"{where}: size"), image_size, where)
    cut = settings.get("do_center_crop", family.resize == "shortest")
    if resize == "shortest" and not cut:
        raise ValueError(f"{where} makes pictures that are not square: do_center_crop is false.")
    if cut and crop is not None:
        sides = [crop.get("height"), crop.get("width")] if isinstance(crop, Mapping) else crop
        _same(parse_square(sides, f"{where}: crop_size"), image_size, where)
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


FILE = "tokenizer.json"

PADS = {"clip": "<|endoftext|>", "siglip": "</s>"}

START, END = "<|startoftext|>", "<|endoftext|>"

# Words as CLIP cuts them: special tokens, English contractions, letters, one digit, anything else.
WORDS = (
    r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
)


class PublishedTokenizer(NamedTuple):
    """A published model's tokenizer.

    Attributes:
      text: of tokenizer.json; None: CLIP's own, which vujax has.
      stated: whether the model's files say so, or its family's is taken.
    """

    text: str | None
    stated: bool


def read_tokenizer(published: PublishedModel, text: dict[str, Any]) -> PublishedTokenizer:
    """The tokenizer for a text tower of these settings ('context', 'vocab').

    Raises:
      FileNotFoundError: the model has none.
      ValueError: it is damaged, or has tokens that the tower does not know.
      ImportError: the extra [sentences] is not installed.
    """
    if published.layout != "transformers":
        return _own(published, text, True)
    folder, family = published.folder, published.settings["model_type"]
    if (folder / FILE).is_file():
        found = open_tokenizer_file(folder / FILE)
    elif (folder / "vocab.json").is_file() and (folder / "merges.txt").is_file():
        found = build_byte_pairs(folder / "vocab.json", folder / "merges.txt")
    elif (folder / "spiece.model").is_file():
        raise ValueError(
            f"{folder} has its tokenizer as spiece.model, which is not read: make {FILE} where "
            "transformers and sentencepiece are installed, by "
            "AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER)."
        )
    elif family == "clip":
        return _own(published, text, False)
    else:
        raise FileNotFoundError(f"{folder} has no tokenizer: put the model's {FILE} there.")
    return PublishedTokenizer(_completed(found, published, text), True)


def _own(published: PublishedModel, text: dict[str, Any], stated: bool) -> PublishedTokenizer:
    if text["vocab"] != VOCAB:
        raise FileNotFoundError(
            f"{published.path} knows {text['vocab']} tokens, so its tokenizer is not CLIP's of "
            f"{VOCAB}, and it brings none: put the model's {FILE} into its folder."
        )
    return PublishedTokenizer(None, stated)


def _completed(found: Any, published: PublishedModel, text: dict[str, Any]) -> str:
    """The definition with case, cutting and padding as transformers' settings say."""
    from tokenizers import normalizers

    settings = published.json("tokenizer_config.json") or {}
    lowers = settings.get("tokenizer_class") == "Siglip2Tokenizer"
    if (lowers or settings.get("do_lower_case")) and '"Lowercase"' not in found.to_str():
        rest = [found.normalizer] if found.normalizer else []
        found.normalizer = normalizers.Sequence([normalizers.Lowercase(), *rest])
    largest = max(found.get_vocab(with_added_tokens=True).values(), default=0)
    if largest >= text["vocab"]:
        raise ValueError(
            f"{published.path}: its tokenizer has a token {largest}, but its text tower knows "
            f"{text['vocab']} tokens: they do not belong together."
        )
    token = _pad_token(published, settings)
    number = found.token_to_id(token)
    if number is None:
        raise ValueError(f"{published.path}: its tokenizer does not know its padding {token!r}.")
    side = settings.get("padding_side") or ("left" if lowers else "right")
    length = text["context"]
    found.enable_truncation(length)
    found.enable_padding(direction=side, pad_id=number, pad_token=token, length=length)
    return found.to_str()


def _pad_token(published: PublishedModel, settings: dict[str, Any]) -> str:
    for place in (settings, published.json("special_tokens_map.json") or {}):
        token = place.get("pad_token")
        token = token.get("content") if isinstance(token, dict) else token
        if isinstance(token, str):
            return token
    return PADS[published.settings["model_type"]]


def build_byte_pairs(vocab: Path, merges: Path) -> Any:
    """CLIP's tokenizer from its two older files, as transformers makes it of them.

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
        raise ValueError(f"{vocab} and {merges.name} are no tokenizer of CLIP: {error}.") from None
    made = tokenizers.Tokenizer(bpe)
    made.normalizer = normalizers.Sequence(
        [
            normalizers.NFC(),
            normalizers.Replace(tokenizers.Regex(r"\s+"), " "),
            normalizers.Lowercase(),
        ]
    )
    cut = pre_tokenizers.Split(tokenizers.Regex(WORDS), behavior="removed", invert=True)
    level = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.pre_tokenizer = pre_tokenizers.Sequence([cut, level])
    made.post_processor = processors.RobertaProcessing(
        *special, trim_offsets=False, add_prefix_space=False
    )
    made.add_special_tokens([token for token, _ in special])
    return made
