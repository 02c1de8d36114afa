"""The tokenizer of a published model, as one file tokenizer.json that says all.

Two kinds: CLIP's own, which vujax has (open_clip's and OpenAI's weights), and a file. Into the file
goes what transformers keeps beside it: lower case, the length of texts, and the padding.
"""

from pathlib import Path
from typing import Any, NamedTuple

from vujax.data.tokenizer_file import MISSING, pieces
from vujax.data.tokens import VOCAB
from vujax.weights.published import Published, read_json

FILE = "tokenizer.json"
PADS = {"clip": "<|endoftext|>", "siglip": "</s>"}
START, END = "<|startoftext|>", "<|endoftext|>"
# Words as CLIP cuts them: special tokens, English contractions, letters, one digit, anything else.
WORDS = (
    r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
)


class Found(NamedTuple):
    """A published model's tokenizer.

    Attributes:
      text: of tokenizer.json; None: CLIP's own, which vujax has.
      stated: whether the model's files say so, or its family's is taken.
    """

    text: str | None
    stated: bool


def tokenizer(published: Published, text: dict[str, Any]) -> Found:
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
        found = pieces(folder / FILE)
    elif (folder / "vocab.json").is_file() and (folder / "merges.txt").is_file():
        found = byte_pairs(folder / "vocab.json", folder / "merges.txt")
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
    return Found(_completed(found, published, text), True)


def _own(published: Published, text: dict[str, Any], stated: bool) -> Found:
    if text["vocab"] != VOCAB:
        raise FileNotFoundError(
            f"{published.path} knows {text['vocab']} tokens, so its tokenizer is not CLIP's of "
            f"{VOCAB}, and it brings none: put the model's {FILE} into its folder."
        )
    return Found(None, stated)


def _completed(found: Any, published: Published, text: dict[str, Any]) -> str:
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


def _pad_token(published: Published, settings: dict[str, Any]) -> str:
    for place in (settings, published.json("special_tokens_map.json") or {}):
        token = place.get("pad_token")
        token = token.get("content") if isinstance(token, dict) else token
        if isinstance(token, str):
            return token
    return PADS[published.settings["model_type"]]


def byte_pairs(vocab: Path, merges: Path) -> Any:
    """CLIP's tokenizer from its two older files, as transformers makes it of them.

    Raises:
      ValueError: a file is damaged.
      ImportError: the extra [sentences] is not installed.
    """
    try:
        import tokenizers
        from tokenizers import models, normalizers, pre_tokenizers, processors
    except ImportError as error:
        raise ImportError(MISSING) from error
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
