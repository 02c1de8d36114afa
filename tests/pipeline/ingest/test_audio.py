"""Sound cut at shot boundaries, for any block size of the reader."""

import io
from pathlib import Path

import av
import numpy as np
import pytest

from tests.pipeline.ingest.films import film_with_sound
from vujax.catalog.records import RecordReader, RecordWriter
from vujax.pipeline.ingest import audio
from vujax.pipeline.ingest.audio import encode_flac, write_shot_audio
from vujax.video.audio import AudioReader

RATE = 8000


def samples_of(data: bytes) -> np.ndarray:
    with av.open(io.BytesIO(data)) as container:
        frames = [frame.to_ndarray().reshape(-1) for frame in container.decode(audio=0)]
    return np.concatenate(frames) / audio.FULL_SCALE


@pytest.mark.parametrize("block", [100, 5000, 1 << 17])
def test_pieces_are_the_films_sound(
    tmp_path: Path, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audio, "PIECE_S", 1)
    path = film_with_sound(tmp_path / "a.mkv", (48, 24), seconds=2.5)
    reader = AudioReader(path, rate=RATE, block=block)
    whole = np.concatenate(list(reader))
    borders = [(0, 0.5), (0.5, 2.0), (2.0, 3.0)]
    shots = [dict(shot=i, begin_s=b, end_s=e) for i, (b, e) in enumerate(borders)]
    with RecordWriter(tmp_path / "r") as writer:
        rows = [row for _, new in write_shot_audio(reader, "f", shots, writer, RATE) for row in new]
    places = [(r["shot"], r["piece"], r["first_sample"], r["samples"]) for r in rows]
    assert places == [
        (0, 0, 0, 4000),
        (1, 0, 4000, 8000),
        (1, 1, 12000, 4000),
        (2, 0, 16000, 4000),  # the sound ends in it
    ]
    records = RecordReader(tmp_path / "r")
    for row in rows:
        wanted = whole[row["first_sample"] :][: row["samples"]]
        assert np.abs(samples_of(records[row["record"]]) - wanted).max() < 1e-4


def test_nothing_is_looked_for_after_the_sound_has_ended(tmp_path: Path) -> None:
    """A damaged clock can make a film last for ages."""
    path = film_with_sound(tmp_path / "a.mkv", (48,), seconds=0.5)
    borders = [(0, 1), (1, 1e7)]
    shots = [dict(shot=i, begin_s=b, end_s=e) for i, (b, e) in enumerate(borders)]
    unseen = {"shot": 2}
    with RecordWriter(tmp_path / "r") as writer:
        found = list(
            write_shot_audio(AudioReader(path, rate=RATE), "f", [*shots, unseen], writer, RATE)
        )
    assert [row["shot"] for _, rows in found for row in rows] == [0]


@pytest.mark.parametrize("length", [1, 17, 5000])
def test_flac_is_exact_to_16_bits(length: int) -> None:
    wave = np.random.default_rng(0).uniform(-1, 1, length).astype(np.float32)
    found = samples_of(encode_flac(wave, RATE))
    assert len(found) == length
    assert np.abs(found - wave).max() < 1e-4
