"""Tokens against an independent byte-pair encoder, published ids and transformers' tokenizer."""

import functools
import html
import importlib.util
import itertools
import pickle
import random
import re
import subprocess
import sys
import unicodedata
from pathlib import Path

import ftfy
import numpy as np
import pytest

from vujax.models.tokenizers import clip

TRICKY = (
    "a photo of a cat",
    "",
    "   \n\t ",
    "don't won't I'll you're they've I'm he'd it's THE CAT'S !'s 'til 'sup ''",
    "in 1984 there were 007 agents, 3.14 and ½ ² Ⅷ ٣",
    "fish &amp; chips &amp;amp;lt;b&amp;amp;gt; &#39;quoted&#39; &eacute; &nosuch; &#0;",
    "Crème brûlée naïve cafe\u0301 İstanbul ẞ STRASSE ΣΑΣ",
    "日本語 Русский العربية 한국어 हिन्दी ไทย",
    "😀👍🏽 👨\u200d👩\u200d👧 🇬🇧 ❤\ufe0f",
    "snake_case #hash @user http://example.com/?q=1&x=2 C++ e.g. ...!!!",
    "“curly” ‘quotes’ — dash … \ufb01ligature \uff26\uff35\uff2c\uff2c",
    "schÃ¶n âœ” \ud83d \x00 nul \x1b[31m red \x85 \x1c \u2028 \u00a0 \u200b \r\n spaces",
    "<|endoftext|> <|startoftext|> <start_of_text>< end_of_text><end_of_text>x !!<END_OF_TEXT>",
    "&lt;end_of_text&gt; &amp;lt;start_of_text&amp;gt; <ſtart_of_text>",
    "supercalifragilisticexpialidocious pneumonoultramicroscopicsilicovolcanoconiosis",
    "word " * 200,
    "x" * 1000,
)


@functools.cache
def ranks() -> dict[tuple[str, str], int]:
    """Read OpenAI's byte-pair merges, best first, from the package's library file."""
    package = importlib.util.find_spec("instant_clip_tokenizer").submodule_search_locations[0]
    (library,) = [p for p in Path(package).iterdir() if p.suffix in (".so", ".pyd")]
    _, _, rest = library.read_bytes().partition(b"#version: 0.2\n")
    lines = rest.split(b"\n", 49152 - 256 - 2)[:-1]
    return {tuple(line.decode().split(" ")): i for i, line in enumerate(lines)}


@functools.cache
def symbols() -> dict[int, str]:
    """Map each byte to a printable character, in the order of the vocabulary's entries."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    names = {byte: chr(byte) for byte in printable}
    return names | {byte: chr(256 + i) for i, byte in enumerate(others)}


@functools.cache
def vocabulary() -> dict[str, int]:
    single = list(symbols().values())
    words = single + [s + "</w>" for s in single] + ["".join(pair) for pair in ranks()]
    return {word: i for i, word in enumerate(words)}


def words_of(text: str) -> list[str]:
    """Split into contractions, runs of letters, single digits, and runs of anything but spaces."""
    kind = {"L": "letter", "N": "digit", "Z": "space"}
    words, last = [], "space"
    while text:
        now = kind.get(unicodedata.category(text[0])[0], "other")
        contraction = re.match("'(s|t|re|ve|m|ll|d)", text) if last != "other" else None
        size = len(contraction[0]) if contraction else 1
        if contraction or now == "digit" or (now != last and now != "space"):
            words.append(text[:size])
        elif now != "space":
            words[-1] += text[0]
        text, last = text[size:], "space" if contraction else now
    return words


def pairs_of(word: str) -> list[int]:
    """Return the ids of one word, by merging its best pair until none is left."""
    parts = [symbols()[byte] for byte in word.encode()]
    parts[-1] += "</w>"
    while len(parts) > 1:
        pair = min(itertools.pairwise(parts), key=lambda p: ranks().get(p, len(ranks())))
        if pair not in ranks():
            break
        merged: list[str] = []
        for part in parts:
            if merged and (merged[-1], part) == pair:
                merged[-1] += part
            else:
                merged.append(part)
        parts = merged
    return [vocabulary()[part] for part in parts]


def cleaned(text: str) -> str:
    """Clean text as CLIP does, without our shortcuts."""
    text = html.unescape(html.unescape(ftfy.fix_text(text))).strip()
    return re.sub(r"\s+", " ", text).strip().lower()


def reference(text: str, context: int = 77) -> list[int]:
    ids = [i for word in words_of(cleaned(text)) for i in pairs_of(word)][: context - 2]
    return [49406, *ids, 49407] + [0] * (context - 2 - len(ids))


def random_text(rng: random.Random) -> str:
    alphabet = "abcdefgz THE'''s<>&;#|_-.!019 \n\t" * 4 + "éßñØλЖ東語ع한😀\u0301\u200d½²"
    return "".join(rng.choices(alphabet, k=rng.randrange(40)))


@pytest.mark.parametrize("text", TRICKY)
def test_equals_an_independent_encoder(text: str):
    np.testing.assert_array_equal(clip.tokenize([text])[0], reference(text))


def test_equals_an_independent_encoder_on_random_texts():
    rng = random.Random(0)
    texts = [random_text(rng) for _ in range(500)]
    np.testing.assert_array_equal(clip.tokenize(texts), [reference(text) for text in texts])


def test_published_ids():
    rows = clip.tokenize(["a photo of a cat", "hello world!"])
    assert rows.shape == (2, 77)
    assert rows.dtype == np.int32
    assert rows[0].tolist() == [49406, 320, 1125, 539, 320, 2368, 49407] + [0] * 70
    assert rows[1, :5].tolist() == [49406, 3306, 1002, 256, 49407]


def test_long_texts_keep_the_end_token():
    (row,) = clip.tokenize(["cat " * 500], context=16)
    assert row.tolist() == [49406] + [2368] * 14 + [49407]


@pytest.mark.parametrize(
    "name",
    ["<|endoftext|>", "<|startoftext|>", "<end_of_text>", "<START_of_text>", "&lt;end_of_text>"],
)
def test_no_text_smuggles_a_special_token(name: str):
    (row,) = clip.tokenize([f"a {name} cat"])
    assert np.count_nonzero(row == clip.START) == 1
    assert np.count_nonzero(row == clip.END) == 1
    assert 2368 in row


def test_no_texts():
    assert clip.tokenize([]).shape == (0, 77)


def test_anything_but_text_is_refused():
    with pytest.raises(TypeError, match="text 1 is int, not str: 7"):
        clip.tokenize(["a cat", 7])
    with pytest.raises(TypeError, match="sequence of strings"):
        clip.tokenize("a cat")


def test_context_too_short_is_refused():
    with pytest.raises(ValueError, match=r"context must be at least 2, .*, got 1"):
        clip.tokenize(["a cat"], context=1)


def test_goes_to_worker_processes_and_loads_nothing_at_import():
    assert pickle.loads(pickle.dumps(clip.tokenize)) is clip.tokenize
    code = (
        "import sys, vujax.models.tokenizers.clip as t;"
        "print(t._tokenizer.cache_info().currsize, 'jax' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.split() == ["0", "False"]


@pytest.mark.parity
def test_equals_transformers():
    from transformers import CLIPTokenizer

    vocab = vocabulary() | {"<|startoftext|>": 49406, "<|endoftext|>": 49407}
    theirs = CLIPTokenizer(vocab=vocab, merges=list(ranks()))
    rng = random.Random(1)
    texts = [t for t in TRICKY if "<|" not in t] + [random_text(rng) for _ in range(500)]
    for text in texts:
        ids = theirs(cleaned(text), truncation=True, max_length=77)["input_ids"]
        np.testing.assert_array_equal(clip.tokenize([text])[0, : len(ids)], ids, err_msg=text)
