"""Tokens of imported models equal transformers', padding included."""

import io
import json
import pickle
import random
import re

import numpy as np
import pytest
from safetensors.numpy import save_file

from tests.models.pretrained import originals
from tests.models.tokenizers.test_clip import TRICKY, random_text, ranks, vocabulary
from vujax.models import inputs
from vujax.models.pretrained.preprocessing import read_tokenizer
from vujax.models.pretrained.published import PublishedModel
from vujax.models.tokenizers.clip import tokenize
from vujax.models.tokenizers.huggingface import (
    SentencePieceFile,
    TokenizerFile,
    canonicalize_text,
)

MORE = (
    "&lt;b&gt;bold&lt;/b&gt; &nbsp;&copy; &#128512; &amp;#39;",
    "l'été d'été aujourd'hui c'est l’apostrophe",
    "'S 'T 'RE 'VE 'M 'LL 'D 's't're 've'm'll'd",
    "'''''''' \"\"\"\" ``` ´´ ‘’",
    "ǅ ǆ Ǆ ﬀ ﬃ ß ẞ İ ı i̇ K Å",
    "e\u0301 é \u1e9b\u0323 \u0344 \u0390 \u03b9\u0308\u0301",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466 family",
    "\U0001f1eb\U0001f1f7\U0001f1e9\U0001f1ea flags \U0001f3f4\U000e0067\U000e0062",
    "1234567890 １２３ ৪৫ ⅣⅤ ½¾ 10⁻³ x²",
    "日本語テキスト漢字かな交じり文 中文字符 한국어텍스트",
    "ｈａｌｆ　ｗｉｄｔｈ ｶﾀｶﾅ",
    "שלום עולם مرحبا بالعالم नमस्ते",
    "a\u00a0b\u2003c\u3000d\u200be\ufefff",
    "tab\tnew\nline\r\nvertical\vform\ffeed",
    "\x01\x02\x03\x07\x08\x0e\x1f\x7f\x80\x9f",
    "zero\x00in the middle",
    "\n\n\n",
    " \u3000 \u2028 \u2029 ",
    "_" * 50 + "-" * 50,
    "a" * 300,
    "aB" * 200,
    "é" * 120,
    "\U0001f600" * 90,
    "one two three four five six seven eight nine ten " * 12,
    "https://user:pass@host.example:8080/a/b?c=d&e=f#g",
    "C:\\Windows\\System32 /usr/local/bin ~/.config",
    "{'json': [1, 2.5e-3, null], \"x\": true}",
    "<html><body>text</body></html>",
    "100% $5.00 €20 £3 ¥7 #1 @home & co. *star* ^caret~",
    "ALL CAPS SHOUTING!!! MiXeD CaSe",
    "Ὀδυσσεύς ΟΔΥΣΣΕΥΣ ς σ Σ",
    "x\u0336s\u0336t\u0336r\u0336 z\u0351\u0343a\u0346l\u034dgo",
    "a photo of a cat",
    "…—–•†‡™®©",
)
TEXTS = [*TRICKY, *MORE]


def texts(n=1000):
    rng = random.Random(2)
    words = (
        "a",
        "photo",
        "the",
        "red",
        "boat",
        "on",
        "at",
        "night",
        "don't",
        "it's",
        "24",
        "cafés",
    )
    made = [" ".join(rng.choices(words, k=rng.randrange(1, 90))) for _ in range(n // 2)]
    rest = n - len(made) - len(TEXTS)
    return [*TEXTS, *made, *(random_text(rng) for _ in range(rest))]


def published(folder, kind="clip"):
    return PublishedModel(folder, "transformers", {"model_type": kind}, ())


def ours(folder, kind="clip", context=77, vocab=49408):
    found = read_tokenizer(published(folder, kind), dict(context=context, vocab=vocab))
    assert found.stated
    release = folder / "release"
    release.mkdir(exist_ok=True)
    (release / found.settings["file"]).write_bytes(found.data)
    save_file({}, release / "weights.safetensors")
    config = {"tokenizer": found.settings, "model": {"text": {"context": context}}}
    (release / "config.json").write_text(json.dumps(config))
    return inputs.open_tokenizer(release)


def theirs(original, texts, context=77):
    options = dict(padding="max_length", truncation=True, max_length=context)
    return np.array(original(list(map(mended, texts)), **options)["input_ids"])


def mended(text):
    """Without lone surrogates, which the package refuses."""
    return text.encode("utf-8", "replace").decode()


def test_there_are_enough_tricky_texts():
    assert len(TEXTS) >= 50
    assert len(texts()) == 1000


@pytest.fixture(scope="module")
def clip():
    from transformers import CLIPTokenizer

    numbers = vocabulary() | {"<|startoftext|>": 49406, "<|endoftext|>": 49407}
    return CLIPTokenizer(vocab=numbers, merges=list(ranks()))


@pytest.mark.parity
@pytest.mark.parametrize("older", [False, True], ids=["tokenizer.json", "vocab and merges"])
def test_clips_tokens_equal_transformers(clip, tmp_path, older):
    if older:
        numbers = vocabulary() | {"<|startoftext|>": 49406, "<|endoftext|>": 49407}
        (tmp_path / "vocab.json").write_text(json.dumps(numbers))
        lines = ["#version: 0.2", *(" ".join(pair) for pair in ranks())]
        (tmp_path / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    else:
        clip.save_pretrained(tmp_path)
        assert (tmp_path / "tokenizer.json").is_file()
    mine = ours(tmp_path)
    found, expected = mine(texts()), theirs(clip, texts())
    assert found.shape == (1000, 77) and found.dtype == np.int32
    wrong = [text for text, a, b in zip(texts(), found, expected, strict=True) if (a != b).any()]
    assert not wrong, wrong[:5]
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(mine))(TEXTS), found[: len(TEXTS)])
    for text in ("a photo of a cat", "two red boats"):  # our own, up to the end token
        row = tokenize([text])[0]
        end = row.argmax() + 1
        np.testing.assert_array_equal(mine([text])[0, :end], row[:end])


@pytest.mark.parity
def test_no_texts_and_no_strings(clip, tmp_path):
    clip.save_pretrained(tmp_path)
    mine = ours(tmp_path, context=16)
    assert mine([]).shape == (0, 16)
    assert mine(["a cat"]).shape == (1, 16)
    with pytest.raises(TypeError, match="text 1 is int, not str: 7"):
        mine(["a", 7])
    with pytest.raises(TypeError, match="sequence of strings"):
        mine("a cat")


def trained(folder, **settings):
    """Save a Siglip2Tokenizer of a few hundred pieces in `folder`."""
    from tokenizers import trainers
    from transformers import Siglip2Tokenizer

    numbers = {token: i for i, token in enumerate(["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"])}
    blank = Siglip2Tokenizer(vocab=numbers, merges=[], **settings)
    special = list(numbers)
    trainer = trainers.BpeTrainer(vocab_size=300, special_tokens=special, show_progress=False)
    model = blank.backend_tokenizer
    model.train_from_iterator(map(mended, texts(400)), trainer)
    definition = json.loads(model.to_str())
    made = Siglip2Tokenizer(
        vocab=definition["model"]["vocab"],
        merges=[tuple(pair) for pair in definition["model"]["merges"]],
        **settings,
    )
    made.save_pretrained(folder)
    return made


@pytest.mark.parity
@pytest.mark.parametrize("side", [None, "right"])
@pytest.mark.parametrize("name", ["Siglip2Tokenizer", "GemmaTokenizer", None])
def test_siglip2s_tokens_equal_transformers(tmp_path, side, name):
    settings = {} if side is None else {"padding_side": side}
    original = trained(tmp_path, **settings)
    path = tmp_path / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"tokenizer_class": name}))
    definition = json.loads((tmp_path / "tokenizer.json").read_text())
    if name != "Siglip2Tokenizer":  # older files do not hold the family's lower case
        definition["normalizer"] = definition["normalizer"]["normalizers"][1]
        assert "Lowercase" not in json.dumps(definition)
        (tmp_path / "tokenizer.json").write_text(json.dumps(definition))
    mine = ours(tmp_path, "siglip", 64, 300)
    given = texts()
    found, expected = mine(given), theirs(original, given, 64)
    assert len(np.unique(found)) > 50
    np.testing.assert_array_equal(found, expected)


@pytest.fixture(scope="module")
def pieces(tmp_path_factory):
    """Return a folder with a spiece.model of a few hundred pieces, numbered as SigLIP's are."""
    package = pytest.importorskip("sentencepiece", reason="extra [parity] lacks sentencepiece")
    folder, model = tmp_path_factory.mktemp("pieces"), io.BytesIO()
    corpus = [mended(text).lower().replace("\x00", "") for text in texts(600)]
    numbers = dict(pad_id=0, eos_id=1, unk_id=2, bos_id=-1)
    options = dict(vocab_size=400, character_coverage=0.98, hard_vocab_limit=False)
    package.SentencePieceTrainer.train(
        sentence_iterator=iter(corpus), model_writer=model, minloglevel=2, **numbers, **options
    )
    (folder / "spiece.model").write_bytes(model.getvalue())
    return folder


@pytest.mark.parity
@pytest.mark.parametrize("lower", [True, False])
def test_siglips_tokens_equal_transformers(pieces, tmp_path, lower):
    from transformers import SiglipTokenizer

    original = SiglipTokenizer(str(pieces / "spiece.model"), do_lower_case=lower)
    original.save_pretrained(tmp_path)
    mine = ours(tmp_path, "siglip", 64, 400)
    assert isinstance(pickle.loads(pickle.dumps(mine)), SentencePieceFile)
    given = [*texts(), "\u2581a \u2581 b", " a", "... !", "\uff01a", "\u00a0a", "ΑΣ Σ"]
    found, expected = mine(given), theirs(original, given, 64)
    assert found.dtype == np.int32 and len(np.unique(found)) > 100
    wrong = [text for text, a, b in zip(given, found, expected, strict=True) if (a != b).any()]
    assert not wrong, wrong[:5]
    assert mine([]).shape == (0, 64)


@pytest.mark.parity
def test_siglips_tokenizer_json_equals_its_pieces(pieces, tmp_path):
    write_unigram(pieces / "spiece.model", tmp_path / "tokenizer.json")
    expected, mine = (ours(folder, "siglip", 64, 400) for folder in (pieces, tmp_path))
    assert isinstance(mine, TokenizerFile) and mine.canonical
    # Left out: texts with several best segmentations, and combined characters, which the
    # tokenizers package normalizes together and SentencePiece one by one.
    other = re.compile("aaa|[\\u200d\\u0300-\\u036f]")
    given = [text for text in texts() if not other.search(text.lower())]
    rows = zip(given, mine(given), expected(given), strict=True)
    wrong = [text for text, a, b in rows if (a != b).any()]
    assert len(given) > 850
    assert not wrong, wrong[:5]


def write_unigram(source, path):
    """Write a spiece.model as a tokenizer.json, without SigLIP's canonicalization."""
    import tokenizers
    from sentencepiece import SentencePieceProcessor, sentencepiece_model_pb2

    model = sentencepiece_model_pb2.ModelProto.FromString(source.read_bytes())
    opened = SentencePieceProcessor(model_file=str(source))
    scores = [(piece.piece, piece.score) for piece in model.pieces]
    made = tokenizers.Tokenizer(tokenizers.models.Unigram(scores, opened.unk_id()))
    parts = tokenizers.normalizers
    spaces = parts.Replace(tokenizers.Regex(" {2,}"), " ")
    charsmap = parts.Precompiled(model.normalizer_spec.precompiled_charsmap)
    made.normalizer = parts.Sequence([charsmap, parts.Strip(), spaces])
    made.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace(split=False)
    ending = dict(single="$A </s>", special_tokens=[("</s>", 1)])
    made.post_processor = tokenizers.processors.TemplateProcessing(**ending)
    made.save(str(path))


def test_canonical_texts():
    assert canonicalize_text("  A photo,\tof\x1c it's (two) cats! ") == "a photo of its two cats"
    assert canonicalize_text("Él_é—x", lower=False) == "Élé—x"
    assert canonicalize_text("?!") == ""


@pytest.mark.parity
def test_pieces_that_do_not_fit(pieces, tmp_path):
    text = dict(context=6, vocab=400)
    with pytest.raises(ValueError, match="the vocabulary of its text tower is 10: they do not"):
        read_tokenizer(published(pieces, "siglip"), text | {"vocab": 10})
    (tmp_path / "spiece.model").write_bytes(b"not a model")
    with pytest.raises(ValueError, match=r"spiece\.model is not a SentencePiece model: download"):
        read_tokenizer(published(tmp_path, "siglip"), text)
    (tmp_path / "spiece.model").write_bytes((pieces / "spiece.model").read_bytes())
    (tmp_path / "tokenizer_config.json").write_text('{"pad_token": "[PAD]"}')
    with pytest.raises(ValueError, match=r"lacks its padding token '\[PAD\]'"):
        read_tokenizer(published(tmp_path, "siglip"), text)
    with pytest.raises(FileNotFoundError, match="is missing: import the model again"):
        SentencePieceFile(str(tmp_path / "other.model"), 6)(["a"])


@pytest.mark.parity
def test_case_length_and_padding_are_as_the_settings_say(tmp_path):
    originals.words(tmp_path)
    mine = ours(tmp_path, "siglip", 6, 64)
    rows = mine(["A Red BOAT", "a a a a a a a a a"])
    a, red, boat = (originals.WORDS.index(word) + 2 for word in ("a", "red", "boat"))
    assert rows.tolist() == [[a, red, boat, 1, 1, 1], [a] * 5 + [1]]
    (tmp_path / "tokenizer_config.json").write_text('{"padding_side": "left"}')
    (tmp_path / "special_tokens_map.json").write_text('{"pad_token": {"content": "<unk>"}}')
    rows = ours(tmp_path, "siglip", 6, 64)(["a Red boat"])
    assert rows.tolist() == [[0, 0, a, 0, boat, 1]]


@pytest.mark.parity
def test_tokenizers_that_do_not_fit(tmp_path):
    text = dict(context=6, vocab=64)
    originals.words(tmp_path)
    with pytest.raises(
        ValueError, match="has a token 13, but the vocabulary of its text tower is 10"
    ):
        read_tokenizer(published(tmp_path, "siglip"), text | {"vocab": 10})
    (tmp_path / "tokenizer_config.json").write_text('{"pad_token": "[PAD]"}')
    with pytest.raises(ValueError, match=r"lacks its padding token '\[PAD\]'"):
        read_tokenizer(published(tmp_path, "siglip"), text)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(ValueError, match=r"tokenizer\.json is not a tokenizer"):
        read_tokenizer(published(tmp_path, "siglip"), text)
    (tmp_path / "tokenizer.json").unlink()
    (tmp_path / "vocab.json").write_text('{"a": 0}')
    (tmp_path / "merges.txt").write_text("a b\n")
    with pytest.raises(ValueError, match=r"merges\.txt are not a tokenizer of CLIP"):
        read_tokenizer(published(tmp_path, "siglip"), text)


def test_models_without_a_tokenizer(tmp_path):
    clip = dict(context=77, vocab=49408)
    assert read_tokenizer(published(tmp_path), clip) == ({"kind": "clip"}, None, False)
    file = PublishedModel(tmp_path / "x.safetensors", "file", {}, ())
    assert read_tokenizer(file, clip) == ({"kind": "clip"}, None, True)
    with pytest.raises(FileNotFoundError, match="of 64 tokens, so its tokenizer is not CLIP's"):
        read_tokenizer(published(tmp_path), clip | {"vocab": 64})
    with pytest.raises(
        FileNotFoundError, match=r"has no tokenizer: put the model's tokenizer\.json or spiece"
    ):
        read_tokenizer(published(tmp_path, "siglip"), clip)


def test_the_package_is_asked_for(tmp_path, monkeypatch):
    for name in ("tokenizers", "sentencepiece"):
        monkeypatch.setitem(__import__("sys").modules, name, None)
    (tmp_path / "spiece.model").touch()
    with pytest.raises(ImportError, match=r"sentencepiece package: pip install 'vujax\[sentences"):
        read_tokenizer(published(tmp_path, "siglip"), dict(context=64, vocab=400))
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(ImportError, match=r"pip install 'vujax\[sentences\]'"):
        read_tokenizer(published(tmp_path), dict(context=77, vocab=49408))
    with pytest.raises(ImportError, match=r"pip install 'vujax\[sentences\]'"):
        TokenizerFile(str(tmp_path / "tokenizer.json"), 77)(["a cat"])
