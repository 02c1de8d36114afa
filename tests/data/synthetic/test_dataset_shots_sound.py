"""The sound of shots as log-mel spectrograms."""

import numpy as np

from vujax.data.synthetic.dataset_shots import RATE, open_synthetic_films
from vujax.video.log_mel import LogMel


def test_spectrograms_of_shots():
    """Check the middle of long shots, and that short ones are repeated."""
    (film,) = open_synthetic_films(
        films=1, minutes=0.5, image_size=16, audio=True, audio_steps=60, mels=20
    )
    lengths = [len(film.sound(shot)) / RATE for shot in range(len(film))]
    shots = np.array([np.argmax(lengths), np.argmin(lengths)])
    assert lengths[shots[0]] > 60 * 0.04 > lengths[shots[1]]
    rows = film.inputs(shots)
    assert rows["audio"].shape == (2, 60, 20) and rows["audio"].dtype == np.float32
    assert rows["image"].shape == (2, 3, 16, 16, 3)
    sound = film.sound(shots[0])
    spectrum = LogMel(rate=RATE, hop=640, mels=20, high_hz=8000.0)
    whole, begin = spectrum(sound), (len(sound) - 59 * 640) // 2 / 640
    middle = whole[round(begin) + 5 : round(begin) + 50]
    assert np.abs(rows["audio"][0, 5:50] - middle).mean() < 0.2 * middle.std()
    assert np.isfinite(rows["audio"]).all() and rows["audio"][1].std() > 0
    assert "audio" not in open_synthetic_films(films=1)[0].inputs(np.array([0]))
    assert film.inputs(np.zeros(0, np.int64))["audio"].shape == (0, 60, 20)
