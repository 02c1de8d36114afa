"""The channel synopsis: similarity of synopses, without the names of characters.

Names do not tell the topic of a movie: two movies with a Walter are not similar for it. Names are
detected by their capitals, see `find_names`.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from scipy import sparse

from vujax.data.movies.channels import (
    Channel,
    inverse_document_frequency,
    normalize_rows,
    score_inner_products,
)
from vujax.data.movies.records import Movies
from vujax.models import pretrained
from vujax.utils.io import write_array

WORD = re.compile(r"\w+(?:['’]\w+)*")
TERM = re.compile(r"\b\w\w+\b")
ENDS = frozenset('.!?…:;"“”«»()[]\n')  # capitals after these do not mark names
BATCH = 32  # texts of a batch of the sentence encoder
NUM_EXPLAINED = 4  # common words of an explanation


def synopsis_channel(
    movies: Movies,
    *,
    encoder: str = "tfidf",
    names: bool = False,
    max_df: float = 0.1,
    min_df: int = 2,
) -> Channel:
    """Build the channel of the cosine of the synopses' embeddings.

    Args:
      movies: all movies.
      encoder: 'tfidf' (`compute_tf_idf`), or 'minilm', a sentence encoder (vujax.models.minilm),
        whose negative cosines count as 0; it needs the extra [sentences].
      names: whether names (`find_names`) stay in the texts.
      max_df: see `compute_tf_idf`.
      min_df: see `compute_tf_idf`.

    Raises:
      ValueError: `encoder` is unknown, or `max_df` or `min_df` is out of range.
    """
    dropped = frozenset() if names else find_names(movies.synopses)
    texts = [remove_words(text, dropped) for text in movies.synopses]
    if encoder == "tfidf":
        matrix, terms = compute_tf_idf(texts, max_df=max_df, min_df=min_df)
        known = np.diff(matrix.indptr) > 0
        return Channel(
            known, score_inner_products(matrix), lambda i, j: _in_common(matrix, terms, i, j)
        )
    if encoder != "minilm":
        raise ValueError(f"the channel synopsis has no encoder {encoder!r}: use tfidf or minilm")
    vectors = embed_sentences(texts)
    return Channel(vectors.any(axis=1), lambda rows: np.maximum(vectors[rows] @ vectors.T, 0))


def find_names(texts: Sequence[str]) -> frozenset[str]:
    """Return the words that are spelled like names, in lower case.

    A word is a name if, over all texts, it has a capital inside a sentence more often than it has
    none anywhere; or if it always has a capital.
    """
    small: Counter[str] = Counter()
    inside: Counter[str] = Counter()
    seen: set[str] = set()
    for text in texts:
        for word, is_start in _words(text):
            if not word[0].isupper():
                small[word.lower()] += 1
                continue
            seen.add(word.lower())
            inside[word.lower()] += not is_start
    return frozenset(word for word in seen if small[word] < max(inside[word], 1))


def remove_words(text: str, words: frozenset[str]) -> str:
    """Remove these words where they have a capital, and collapse white space."""

    def replacement(match: re.Match[str]) -> str:
        word = match[0]
        return "" if word[0].isupper() and _stem(word).lower() in words else word

    return " ".join(WORD.sub(replacement, text).split())


def _words(text: str) -> Iterator[tuple[str, bool]]:
    """Yield each word, without an 's, and whether it may start a sentence."""
    end = 0
    for match in WORD.finditer(text):
        yield _stem(match[0]), end == 0 or not ENDS.isdisjoint(text[end : match.start()])
        end = match.end()


def _stem(word: str) -> str:
    return re.sub(r"['’]s?$", "", word)


def compute_tf_idf(
    texts: Sequence[str], *, max_df: float = 1.0, min_df: int = 1
) -> tuple[sparse.csr_array, tuple[str, ...]]:
    """Compute unit TF-IDF vectors, float32 `[n w]`, and the terms of their columns.

    Values are counts times `inverse_document_frequency`. Terms are lower-case runs of two or more
    letters or digits. Texts without terms do not count, and have a row of zeros.
    (Salton and Buckley, "Term-weighting approaches in automatic text retrieval", 1988.)

    Args:
      texts: texts.
      max_df: terms in more than this share of the texts, the stop words, are left out.
      min_df: terms in fewer texts are left out. A term of one text makes no two texts similar.

    Raises:
      ValueError: `max_df` is not within (0, 1], or `min_df` is below 1.
    """
    if not 0 < max_df <= 1 or min_df < 1:
        raise ValueError(
            f"max_df must be within (0, 1] and min_df at least 1, got {max_df} and {min_df}"
        )
    counts = [Counter(TERM.findall(text.lower())) for text in texts]
    documents = sum(map(bool, counts))
    having = Counter(term for found in counts for term in found)
    terms = sorted(t for t, df in having.items() if min_df <= df <= max_df * documents)
    column = {term: k for k, term in enumerate(terms)}
    rows = [sorted((column[t], c) for t, c in found.items() if t in column) for found in counts]
    entries = np.array([entry for row in rows for entry in row], np.int32).reshape(-1, 2)
    starts = np.cumsum([0, *map(len, rows)])
    data = entries[:, 1].astype(np.float32)
    matrix = sparse.csr_array((data, entries[:, 0], starts), shape=(len(rows), len(terms)))
    weights = inverse_document_frequency(np.array([having[term] for term in terms]), documents)
    return normalize_rows((matrix @ sparse.diags_array(weights)).tocsr()), tuple(terms)


def _in_common(matrix: sparse.csr_array, terms: Sequence[str], i: int, j: int) -> str:
    shares = matrix[[i]].multiply(matrix[[j]]).tocoo()
    largest = np.argsort(-shares.data, kind="stable")[:NUM_EXPLAINED]
    return ", ".join(terms[column] for column in shares.coords[1][largest])


def embed_sentences(texts: Sequence[str]) -> np.ndarray:
    """Embed texts with MiniLM: unit vectors float32 `[n 384]`, zeros for a text without words.

    Embeddings are cached by a hash of the texts, since 2,000 synopses take minutes on two cores.

    Raises:
      ImportError: the extra [sentences] is not installed.
      OSError: the weights cannot be fetched, or the cache cannot be written.
    """
    release = pretrained.RELEASES["minilm"].sha256
    digest = hashlib.sha256("\0".join([release, *texts]).encode("utf-8", "replace")).hexdigest()
    path = pretrained.get_cache_folder() / "sentences" / f"{digest[:32]}.npy"
    if not path.is_file():
        vectors = _encode(texts)
        write_array(path, vectors)
    return np.load(path, allow_pickle=False)


def _encode(texts: Sequence[str]) -> np.ndarray:
    import jax

    from vujax.models import minilm

    tokenizer = minilm.Tokenizer(pretrained.load_document("minilm", "tokenizer"))
    variables = minilm.from_released(pretrained.load_weights("minilm"))
    apply: Callable = jax.jit(minilm.MiniLM().apply)
    vectors = np.zeros((len(texts), minilm.WIDTH), np.float32)
    rows = [row for row, text in enumerate(texts) if WORD.search(text)]
    rows.sort(key=lambda row: len(texts[row]))  # batches of similar lengths
    for start in range(0, len(rows), BATCH):
        chosen = rows[start : start + BATCH]
        filled = [texts[row] for row in chosen] + [""] * (BATCH - len(chosen))
        tokens, mask = tokenizer(filled)
        vectors[chosen] = np.asarray(apply(variables, tokens, mask)[0])[: len(chosen)]
    return vectors
