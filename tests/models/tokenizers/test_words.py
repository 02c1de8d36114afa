"""Small vocabulary: round trips of any text, and single tokens for common words."""

import numpy as np
import pytest

from vujax.evals.metrics.captions import split_words
from vujax.models.tokenizers import clip
from vujax.models.tokenizers.words import END, MIN_VOCAB, ShortTokens

TEXTS = [
    "a close-up of a man's boat, at night",
    "Part of the Flat Icon Collection (Wed Aug 25 23:29:46 2004)",
    "naïve café 日本 😀 né",
    "astronaut & spaceship <end_of_text> zzyzx",
    "",
]


@pytest.mark.parametrize("vocab", [MIN_VOCAB, 1024, 8192, 49407])
def test_any_text_comes_back(vocab):
    short = ShortTokens(vocab)
    rows = short.encode(TEXTS, 120)
    assert rows.dtype == np.int32 and rows.max() < vocab and (rows[:, -1] == END).all()
    for text, row in zip(TEXTS, rows, strict=True):
        assert split_words(short.decode(row)) == split_words(clip.clean_text(text))
        assert "�" not in short.decode(row)


def test_marks_stand_where_people_put_them():
    short = ShortTokens(2000)
    for text in (
        "a close-up of a man's boat, at night",
        "10 items (new)",
        "24/7, isn't it? 23:29:46 2004",
    ):
        assert short.decode(short.encode([text], 60)[0]) == text


def test_common_words_are_one_token():
    short = ShortTokens(4096)
    assert short.encode(["a man on the beach"], 8).tolist() == [
        [*(t + 1 for t in clip.tokenize(["a man on the beach"], 8)[0, 1:6]), END, END, END]
    ]


def test_pieces_are_those_of_the_tokenizer():
    known = clip.list_byte_pairs(49406)
    texts = [b"boat", b"lake", "é".encode(), b"!"]
    got = [known[text, True] for text in texts]
    assert got == clip.tokenize(["boat lake é !"], 6)[0, 1:5].tolist()


def test_a_long_text_loses_its_tail():
    short = ShortTokens(1024)
    rows = short.encode(["a " * 20], 5)
    assert short.decode(rows[0]) == "a a a a" and rows[0, -1] == END


def test_half_characters_and_what_follows_the_end_say_nothing():
    short = ShortTokens(MIN_VOCAB)
    row = short.encode(["é"], 4)[0]
    assert short.decode([row[0], END, row[0]]) == ""
    assert short.decode([*short.encode(["ab"], 4)[0], *row]) == "ab"


def test_sizes():
    with pytest.raises(ValueError, match="vocab must be between 513 and 49407, got 512"):
        ShortTokens(512)
