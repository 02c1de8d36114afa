"""Tone mapping of PQ and HLG against known luminances."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from vujax.video.decode import FrameReader, Still
from vujax.video.seek import StillReader
from vujax.video.tone_map import BT2020, HLG, PQ, map_to_sdr

# Code values of full scale, and cd/m2: ITU-R BT.2408, tables 1 and A.
PQ_LEVELS = {0.0: 0, 0.508: 100, 0.581: 203, 0.7518: 1000}
HLG_LEVELS = {0.0: 0, 0.75: 203, 1.0: 1000}
PATCHES = [
    (0, 0, 0),
    (0.3, 0.3, 0.3),
    (0.581, 0.581, 0.581),
    (0.75, 0.75, 0.75),
    (0.5, 0.3, 0.3),
    (0.3, 0.5, 0.3),
    (0.3, 0.3, 0.6),
    (0.6, 0.55, 0.3),
]


def srgb(nits: float) -> float:
    """Return the level of 255 by the formulas of the docstring, in float64."""
    x, white = nits / 203, 1000 / 203
    y = x * (1 + x / white**2) / (1 + x)
    return 255 * (12.92 * y if y <= 0.0031308 else 1.055 * y ** (1 / 2.4) - 0.055)


def patches(colors: Sequence[Sequence[float]], side: int = 16) -> np.ndarray:
    row = np.repeat(np.round(np.array(colors) * 65535).astype(np.uint16)[None], 48, axis=0)
    return np.repeat(row, side, axis=1).copy()


def film(path: Path, image: np.ndarray, transfer: int) -> Path:
    """Write three frames in 10 bits of BT.2020."""
    facts = dict(color_trc=transfer, color_primaries=BT2020, colorspace=9, color_range=1)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=24)
        stream.height, stream.width = image.shape[:2]
        stream.pix_fmt = "yuv444p10le"
        for name, value in facts.items():
            setattr(stream.codec_context, name, value)
        for number in range(3):
            frame = av.VideoFrame.from_ndarray(image, format="rgb48le")
            frame = frame.reformat(format="yuv444p10le", dst_colorspace=9, dst_color_range=1)
            for name, value in facts.items():
                setattr(frame, name, value)
            frame.pts, frame.time_base = number, Fraction(1, 24)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(("transfer", "levels"), [(PQ, PQ_LEVELS), (HLG, HLG_LEVELS)])
def test_known_luminances(transfer: int, levels: dict[float, float]) -> None:
    image = patches([(code,) * 3 for code in levels], side=1)
    found = map_to_sdr(image, transfer, BT2020)[0]
    assert np.ptp(found.astype(int), axis=-1).max() <= 1  # grays stay gray
    expected = [srgb(nits) for nits in levels.values()]
    np.testing.assert_allclose(found[:, 1], expected, atol=2)


def test_the_curve_rises_and_ends_at_white() -> None:
    codes = np.linspace(0, 1, 200)
    found = map_to_sdr(patches([(c, c, c) for c in codes], side=1), PQ, BT2020)[0, :, 0].astype(int)
    assert (np.diff(found) >= 0).all()
    assert (found[0], found[-1]) == (0, 255)


@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_stills_of_a_film_are_mapped_and_small_frames_are_not(
    tmp_path: Path, transfer: int
) -> None:
    image = patches(PATCHES)
    path = film(tmp_path / "a.mkv", image, transfer)
    expected = map_to_sdr(image, transfer, BT2020)[0, 8::16].astype(int)
    reader = FrameReader(path, size=(48, 128))
    (chunk,) = reader
    assert reader.video.hdr

    def colors(still: Still) -> np.ndarray:
        return still.image[24, 8::16].astype(int)

    for still in (*chunk.candidates, *(still for _, still in StillReader(path, [0]))):
        np.testing.assert_allclose(colors(still), expected, atol=4)
    coded = np.round(255 * np.array(PATCHES)).astype(int)
    np.testing.assert_allclose(chunk.small[0, 24, 8::16].astype(int), coded, atol=4)
