"""Log-mel spectrograms: values of another implementation, tones, silence, invalid input."""

import numpy as np
import pytest

from vujax.video import log_mel
from vujax.video.log_mel import LogMel, hz_to_mel, mel_to_hz

SETTINGS = [
    LogMel(),
    LogMel(16000, 400, 160, 40, 0.0, 8000.0, "htk"),
    LogMel(22050, 512, 200, 20, 20.0, 9000.0, "slaney"),
]


def tone(hz, settings, seconds=0.5):
    return 0.5 * np.sin(2 * np.pi * hz * np.arange(int(seconds * settings.rate)) / settings.rate)


@pytest.mark.parity
@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("samples", [1, 300, 20077])
def test_numbers_are_another_implementations(settings, samples):
    from transformers.audio_utils import mel_filter_bank, spectrogram, window_function

    sound = 0.1 * np.random.default_rng(0).normal(size=samples)
    bands = mel_filter_bank(
        settings.window // 2 + 1,
        settings.mels,
        settings.low_hz,
        settings.high_hz,
        settings.rate,
        norm="slaney" if settings.scale == "slaney" else None,
        mel_scale=settings.scale,
    )
    wanted = spectrogram(
        sound,
        window_function(settings.window, "hann"),
        settings.window,
        settings.hop,
        power=2.0,
        mel_filters=bands,
        mel_floor=settings.floor,
        log_mel="log",
    )
    found = settings(sound)
    assert found.shape == (settings.frames(samples), settings.mels)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, wanted.T, atol=2e-3)


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("hz", [440.0, 3000.0])
def test_a_tone_is_loudest_in_the_band_around_it(settings, hz):
    loudest = settings(tone(hz, settings))[2:-2].argmax(axis=1)
    ends = hz_to_mel(np.array([settings.low_hz, settings.high_hz]), settings.scale)
    centres = mel_to_hz(np.linspace(*ends, settings.mels + 2), settings.scale)[1:-1]
    assert set(loudest) == {int(np.abs(centres - hz).argmin())}


def test_known_mels():
    hz = np.array([0.0, 100.0, 1000.0, 6400.0])
    np.testing.assert_allclose(hz_to_mel(hz, "slaney"), [0, 1.5, 15, 42])
    np.testing.assert_allclose(hz_to_mel(np.array([700.0]), "htk"), 2595 * np.log10(2))
    for scale in log_mel.SCALES:
        np.testing.assert_allclose(mel_to_hz(hz_to_mel(hz, scale), scale), hz, atol=1e-9)


def test_silence_is_the_floor_and_the_unit_is_the_logarithm_of_power():
    settings = SETTINGS[0]
    np.testing.assert_allclose(settings(np.zeros(5000)), np.log(settings.floor), rtol=1e-6)
    sound = tone(440.0, settings)
    quieter, louder = settings(sound), settings(10 * sound)
    band = quieter[5].argmax()
    np.testing.assert_allclose(louder[5, band] - quieter[5, band], np.log(100), atol=1e-4)


def test_frames_stand_at_their_samples_and_blocks_change_nothing(monkeypatch):
    settings = SETTINGS[1]
    sound = np.random.default_rng(0).normal(size=4000)
    whole = settings(sound)
    click = np.zeros(4000)
    click[10 * settings.hop] = 1.0
    assert settings(click).sum(axis=1).argmax() == 10
    monkeypatch.setattr(log_mel, "FRAMES_PER_BLOCK", 7)
    np.testing.assert_allclose(settings(sound), whole, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(scale="bark"), r"scale 'bark'; expected one of: slaney, htk"),
        (dict(hop=0), r"hop of a spectrogram must be positive, got 0"),
        (dict(rate=16000), r"14000.0 Hz do not fit sound of 16000 .* ends at 8000 Hz"),
        (dict(low_hz=200.0, high_hz=100.0), r"from 200.0 to 100.0 Hz"),
    ],
)
def test_settings_that_do_not_fit_get_one_sentence(options, message):
    with pytest.raises(ValueError, match=message):
        LogMel(**options)


@pytest.mark.parametrize(
    ("sound", "message"),
    [
        (np.zeros(0), r"shape \(0,\) is not mono"),
        (np.zeros((2, 100)), r"shape \(2, 100\) is not mono"),
        (np.zeros(100, np.int16), r"int16; divide it into floats"),
        (np.array([0.0, np.nan]), r"not finite"),
    ],
)
def test_sound_that_does_not_fit_gets_one_sentence(sound, message):
    with pytest.raises(ValueError, match=message):
        LogMel()(sound)


def test_a_band_without_frequencies_is_an_error():
    with pytest.raises(ValueError, match=r"\d+ of 400 mel bands hold no frequency"):
        LogMel(mels=400)(np.zeros(2000))
