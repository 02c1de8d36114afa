"""Sound of films: exact samples, gaps, offsets, damage."""

from fractions import Fraction

import numpy as np
import pytest

from tests.video.clips import flipped, half, joined, make, make_sound, tone
from vujax.video.audio import AudioReader
from vujax.video.probe import FilmError


def read(path, rate=16000, **options):
    reader = AudioReader(path, rate=rate, **options)
    return reader, np.concatenate([*reader, np.zeros(0, np.float32)])


def loud(samples, rate=16000):
    """Seconds at which sound begins and ends, as a list of pairs."""
    size = rate // 100
    on = np.abs(samples[: len(samples) // size * size].reshape(-1, size)).max(axis=1) > 0.1
    edges = np.flatnonzero(np.diff(np.concatenate([[False], on, [False]]).astype(int)))
    return (edges.reshape(-1, 2) / 100).tolist()


def pitch(samples, rate):
    return np.abs(np.fft.rfft(samples)).argmax() * rate / len(samples)


def test_samples_are_those_of_the_file(tmp_path):
    wave = tone(1, 16000)
    reader, samples = read(make_sound(tmp_path / "a.mkv", [(0, wave)]))
    assert samples.dtype == np.float32
    np.testing.assert_allclose(samples, wave[:, 0] / 32768, atol=1e-4)
    assert reader.status.is_complete and reader.status.frames == 16000


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 32000])
def test_resampling_keeps_length_and_pitch(tmp_path, rate):
    path = make_sound(tmp_path / "a.mkv", [(0, tone(2, 48000))], 48000)
    samples = read(path, rate)[1]
    assert abs(len(samples) - 2 * rate) <= 2
    assert pitch(samples, rate) == pytest.approx(440, abs=1)


def test_channels_are_averaged(tmp_path):
    samples = read(make_sound(tmp_path / "a.mkv", [(0, tone(1, 16000, 2))]))[1]
    assert np.abs(samples).max() == pytest.approx(0.5, abs=0.01)


def test_gaps_are_silent(tmp_path):
    parts = [(0, tone(0.5, 16000)), (2, tone(0.5, 16000)), (3, tone(0.5, 16000))]
    reader, samples = read(make_sound(tmp_path / "a.mkv", parts))
    assert loud(samples) == [[0, 0.5], [2, 2.5], [3, 3.5]]
    assert (samples[8200:31800] == 0).all() and reader.status.is_complete


def test_gaps_are_silent_when_resampled(tmp_path):
    parts = [(0, tone(0.5, 44100)), (2, tone(0.5, 44100))]
    samples = read(make_sound(tmp_path / "a.mkv", parts, 44100))[1]
    np.testing.assert_allclose(loud(samples), [[0, 0.5], [2, 2.5]], atol=0.011)


def test_sound_that_starts_after_the_picture(tmp_path):
    path = make_sound(tmp_path / "a.mkv", [(0.75, tone(0.5, 16000))], picture_s=0.25)
    reader, samples = read(path)
    assert reader.film.video.clock.start == Fraction(1, 4)
    assert loud(samples) == [[0.5, 1.0]]


def test_sound_that_starts_before_the_picture(tmp_path):
    path = make_sound(tmp_path / "a.mkv", [(0.25, tone(0.5, 16000))], picture_s=0.75)
    assert loud(read(path)[1]) == [[0, 0.5]]


@pytest.mark.parametrize("name", ["a.mp4", "a.ts", "a.mkv"])
def test_compressed_sound_keeps_its_place(tmp_path, name):
    beep = np.concatenate([np.zeros((48000, 1), np.int16), tone(1, 48000)])
    reader, samples = read(make_sound(tmp_path / name, [(0, beep)], 48000, "aac"))
    np.testing.assert_allclose(loud(samples), [[1, 2]], atol=0.035)  # a frame of AAC is 21 ms
    assert reader.status.is_complete


def test_overlaps_give_way(tmp_path):
    early = make_sound(tmp_path / "e.ts", [(0, tone(1, 48000))], 48000, "aac")
    late = make_sound(tmp_path / "l.ts", [(0.5, tone(1, 48000, hertz=880))], 48000, "aac")
    samples = read(joined(tmp_path / "a.ts", [early, late]))[1]
    assert len(samples) == pytest.approx(1.5 * 16000, abs=1000)  # not 2 s
    assert pitch(samples[1600:14400], 16000) == pytest.approx(440, abs=2)
    assert pitch(samples[17600:22400], 16000) == pytest.approx(880, abs=4)


def test_blocks(tmp_path):
    path = make_sound(tmp_path / "a.mkv", [(0, tone(1, 16000))])
    assert [len(block) for block in AudioReader(path, block=7000)] == [7000, 7000, 2000]


def test_timestamps_that_leap_or_go_back_cost_no_memory(tmp_path):
    parts = [(0, tone(1, 16000)), (90000, tone(1, 16000)), (90001, tone(1, 16000))]
    reader, samples = read(make_sound(tmp_path / "a.mkv", parts))
    assert len(samples) == pytest.approx(48000, abs=64) and reader.status.repaired == 1
    late = make_sound(tmp_path / "l.ts", [(30, tone(1, 48000))], 48000, "aac", picture_s=30)
    early = make_sound(tmp_path / "e.ts", [(0, tone(1, 48000))], 48000, "aac")
    reader, samples = read(joined(tmp_path / "b.ts", [late, early]))
    assert 1.9 < len(samples) / 16000 < 2.3 and reader.status.repaired >= 1


def test_sound_cut_in_half(tmp_path):
    path = half(make_sound(tmp_path / "a.mkv", [(0, tone(8, 16000))]))
    reader, samples = read(path)
    assert 1 < len(samples) / 16000 < 6
    assert "though its header says 8.00 s" in reader.status.reason


def test_sound_alone(tmp_path):
    path = make_sound(tmp_path / "a.mp4", [(0, tone(1, 48000))], 48000, "aac", None)
    assert pitch(read(path)[1], 16000) == pytest.approx(440, abs=2)


def test_a_silent_film(tmp_path):
    with pytest.raises(FilmError, match=r"a\.mp4 has no sound"):
        AudioReader(make(tmp_path / "a.mp4"))


def test_flipped_bytes_never_crash(tmp_path):
    path = make_sound(tmp_path / "a.mp4", [(0, tone(1, 48000, 2))], 48000, "aac")
    for data in flipped(path.read_bytes()):
        path.write_bytes(data)
        try:
            reader, samples = read(path)
        except FilmError as error:
            assert "a.mp4" in str(error)
        else:
            assert np.isfinite(samples).all() and len(samples) == reader.status.frames
