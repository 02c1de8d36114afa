"""Candidates: bounded memory, and equal JPEGs from memory and from the file."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

from vujax.pipeline.ingest.keyframes import MAX_RAW, CandidateBuffer, encode_jpeg
from vujax.video.decode import Still


def still(pts: int) -> Still:
    return Still(pts, np.full((8, 16, 3), pts % 256, np.uint8))


def test_old_ones_go_to_the_file_unchanged(tmp_path: Path) -> None:
    with CandidateBuffer(tmp_path, 90) as candidates:
        for i in range(3 * MAX_RAW):
            candidates.add(still(10 * i))
        assert len(candidates._raw) == MAX_RAW
        assert candidates.times(41) == [0, 10, 20, 30, 40]
        for number in (0, 2 * MAX_RAW - 1, 2 * MAX_RAW, 3 * MAX_RAW - 1):
            pts, size, data = candidates.encode(number)
            assert (pts, size) == (10 * number, (16, 8))
            assert data == encode_jpeg(still(pts).image, 90)
        candidates.forget(10 * (2 * MAX_RAW - 1))
        assert candidates.encode(0)[0] == 10 * (2 * MAX_RAW - 1)
        assert candidates._file.seek(0, 2) > 0
        candidates.forget(10 * (2 * MAX_RAW + 1))
        assert candidates._file.seek(0, 2) == 0
        assert candidates.encode(0)[0] == 10 * (2 * MAX_RAW + 1)
        candidates.add(still(10**6))
        assert candidates.times(10**9)[-1] == 10**6
    assert list(tmp_path.iterdir()) == []


def test_a_jpeg_is_near_its_picture() -> None:
    image = np.tile(np.arange(0, 240, 8, np.uint8)[None, :, None], (20, 1, 3))
    found = np.asarray(Image.open(io.BytesIO(encode_jpeg(image, 90))))
    assert np.abs(found.astype(int) - image).mean() < 3
