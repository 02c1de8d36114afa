"""`vujax caption`: complete files, and one sentence per error."""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from tests.encoders.stub import catalogue, run
from tests.search.captions.test_captions import released
from tests.search.letters import Letters, picture_of
from vujax import cli
from vujax.catalog import Catalog
from vujax.catalog.embeddings import to_matrix
from vujax.data.captions import EmbeddingPairs, write_embedding_pairs
from vujax.search.captions.calibration import Calibration


@pytest.fixture(autouse=True)
def letters(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace the text space by one without a network."""
    space = SimpleNamespace(open_text_space=lambda spec: Letters())
    monkeypatch.setitem(sys.modules, "vujax.search.text_space", space)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = catalogue(tmp_path_factory.mktemp("captions"))
    run(folder)
    return folder


def words(root: Path, tmp_path: Path, out: str, *more: str) -> list[str]:
    (tmp_path / "bank.txt").write_text("a boat\n<b>zebra\ndog --> cat\n")
    return ["caption", str(root), "--encoder", "stub", "--out", str(tmp_path / out), *more]


def test_captions_of_a_bank(root, tmp_path, capsys):
    bank = ["--bank", str(tmp_path / "bank.txt")]
    assert cli.main(words(root, tmp_path, "c.parquet", *bank)) == 0
    table = pq.read_table(tmp_path / "c.parquet")
    shots = Catalog(root).shots()
    assert table["id"].to_pylist() == shots["id"].to_pylist()
    assert set(table["caption"].to_pylist()) <= {"a boat", "<b>zebra", "dog --> cat"}
    told = capsys.readouterr().out
    assert "films        2, 0 without captions" in told and "c.parquet" in told
    assert cli.main(words(root, tmp_path, "c.vtt", *bank, "--level", "frame")) == 0
    files = sorted((tmp_path / "c").iterdir())
    assert [file.stem for file in files] == Catalog(root).film_ids()
    for file in files:
        cues = file.read_text(encoding="utf-8").split("\n\n")[1:]
        assert cues and all(cue.count("-->") == 1 and "<b" not in cue for cue in cues)
    assert cli.main(words(root, tmp_path, "c.csv", *bank, "--least", "1.1")) == 0
    assert "0, 0 distinct" in capsys.readouterr().out


def test_chances_are_learned_and_kept(root, tmp_path):
    texts = [f"{a}{b}" for a in "abcdef" for b in "ghijkl"]
    pairs = EmbeddingPairs(
        np.pad(picture_of(*texts), ((0, 0), (0, 0))),
        tuple((text,) for text in texts),
        tuple(texts),
    )
    write_embedding_pairs(pairs, tmp_path / "pairs.parquet")
    kept = tmp_path / "curve.json"
    learn = ["--calibrate", str(tmp_path / "pairs.parquet"), "--calibration-out", str(kept)]
    bank = ["--bank", str(tmp_path / "bank.txt")]
    assert cli.main(words(root, tmp_path, "c.parquet", *bank, *learn)) == 0
    first = pq.read_table(tmp_path / "c.parquet")
    assert first["chance"].null_count == 0
    curve = Calibration.read(kept)
    np.testing.assert_allclose(first["chance"], curve(first["score"].to_numpy()), rtol=1e-6)
    again = words(root, tmp_path, "d.parquet", *bank, "--calibrate", str(kept))
    assert cli.main(again) == 0
    assert pq.read_table(tmp_path / "d.parquet").equals(first)


def test_captions_of_the_nearest_pictures(root, tmp_path, capsys):
    seen = to_matrix(Catalog(root).embeddings("shot", "stub"))
    rng = np.random.default_rng(0)
    pictures = np.repeat(seen, 5, axis=0) + rng.normal(0, 0.1, (5 * len(seen), seen.shape[1]))
    told = tuple((f"picture {i % 25}", "another") for i in range(len(pictures)))
    keys = tuple(map(str, range(len(pictures))))
    write_embedding_pairs(
        EmbeddingPairs(np.float32(pictures), told, keys), tmp_path / "pairs.parquet"
    )
    pairs = ["--pairs", str(tmp_path / "pairs.parquet")]
    assert cli.main(words(root, tmp_path, "c.parquet", *pairs)) == 0
    table = pq.read_table(tmp_path / "c.parquet")
    norms = np.linalg.norm(seen, axis=1)[:, None] * np.linalg.norm(pictures, axis=1)
    cosines = seen @ pictures.T / norms
    assert table["caption"].to_pylist() == [told[i][0] for i in cosines.argmax(axis=1)]
    np.testing.assert_allclose(table["score"], cosines.max(axis=1), atol=1e-6)
    assert set(table["by"].to_pylist()) == {"pairs.parquet"}
    # Other pictures, on which the nearest is always right.
    write_embedding_pairs(
        EmbeddingPairs(np.float32(pictures + 1e-3), told, keys), tmp_path / "others.parquet"
    )
    learn = ["--calibrate", str(tmp_path / "others.parquet"), "--repeats", "1"]
    assert cli.main(words(root, tmp_path, "d.parquet", *pairs, *learn)) == 0
    table = pq.read_table(tmp_path / "d.parquet")
    assert set(table["chance"].to_pylist()) == {1.0}
    learn = ["--calibrate", str(tmp_path / "pairs.parquet")]
    assert cli.main(words(root, tmp_path, "e.parquet", *pairs, *learn)) == 1
    assert "must not use the pairs of --pairs" in capsys.readouterr().err
    for film in Catalog(root).film_ids():
        own = table.filter(pc.field("film") == film)["caption"].to_pylist()
        assert len(set(own)) == len(own)


def test_pairs_of_another_encoder_are_refused(root, tmp_path, capsys):
    seen = to_matrix(Catalog(root).embeddings("shot", "stub"))
    told, keys = (("a",),) * len(seen), tuple(map(str, range(len(seen))))
    pairs = ["--pairs", str(tmp_path / "pairs.parquet")]
    for found, why in (
        (EmbeddingPairs(seen[:, :3], told, keys), "embeddings of dim 3"),
        (EmbeddingPairs(seen, told, keys, "other"), "has embeddings of other, not stub"),
        (EmbeddingPairs(seen, told, keys, "stub", "00" * 32), "embeddings of another stub"),
    ):
        write_embedding_pairs(found, tmp_path / "pairs.parquet")
        assert cli.main(words(root, tmp_path, "e.parquet", *pairs)) == 1
        assert why in capsys.readouterr().err


def test_captions_of_a_decoder(root, tmp_path):
    decoder = ["--decoder", str(released(tmp_path / "mine"))]
    assert cli.main(words(root, tmp_path, "c.jsonl", *decoder)) == 0
    assert '"by": "mine"' in (tmp_path / "c.jsonl").read_text()


def test_films_without_captions(root, tmp_path, capsys):
    folder = catalogue(tmp_path / "new")
    bank = ["--bank", str(tmp_path / "bank.txt")]
    assert cli.main(words(folder, tmp_path, "c.vtt", *bank)) == 1
    assert (
        "has no shot embeddings of stub; compute them with `vujax embed" in capsys.readouterr().err
    )
    run(folder)
    next((folder / "vectors" / "shot").rglob("*.parquet")).unlink()
    assert cli.main(words(folder, tmp_path, "c.vtt", *bank)) == 0
    assert "1, 1 without captions" in capsys.readouterr().out and (tmp_path / "c.vtt").is_file()
    assert cli.main(words(folder, tmp_path, "c.vtt", *bank, "--strict")) == 1


@pytest.mark.parametrize(
    ("out", "more", "why"),
    [
        ("c.srt", ["--bank", "BANK"], "must end in one of .vtt"),
        ("c.vtt", ["--bank", "no.txt"], "no.txt does not exist"),
        ("c.vtt", ["--bank", "BANK", "--repeats", "0"], "--repeats must be 1 or more"),
        ("c.vtt", ["--bank", "BANK", "--calibration-out", "x"], "requires --calibrate"),
        ("c.vtt", ["--bank", "BANK", "--calibrate", "x.zip"], "is not a file of pairs"),
        ("c.vtt", ["--bank", "BANK", "--calibrate", "x.json"], "x.json does not exist"),
        ("c.vtt", ["--decoder", "nowhere"], "nowhere is no model"),
        ("c.vtt", ["--decoder", "nowhere", "--repeats", "2"], "--repeats requires --bank"),
    ],
)
def test_what_is_wrong_is_one_sentence(root, tmp_path, capsys, out, more, why):
    more = [str(tmp_path / "bank.txt") if word == "BANK" else word for word in more]
    assert cli.main(words(root, tmp_path, out, *more)) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("vujax: error: ") and why in error
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bank.txt"]


def test_no_catalogue_and_no_speaker(tmp_path, capsys):
    assert cli.main(words(tmp_path, tmp_path, "c.vtt", "--bank", "x")) == 1
    assert "catalog" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        cli.main(words(tmp_path, tmp_path, "c.vtt"))
