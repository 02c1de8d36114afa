"""Small generated films whose frames carry their number."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

RATE = 24
WIDTH, HEIGHT = 96, 64
BITS = 8  # a frame's number is written in vertical bars, the leftmost the highest bit


def numbered(number: int, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """uint8 `[h w 3]`: the bars of `number`, light for 1 and dark for 0."""
    bit = BITS - 1 - np.arange(width) * BITS // width
    row = np.where(number >> bit & 1, 220, 30).astype(np.uint8)
    return np.broadcast_to(row[None, :, None], (height, width, 3)).copy()


def number(image: np.ndarray) -> int:
    """The number that a picture of any size carries."""
    bars = np.array_split(image.mean(axis=(0, 2)), BITS)
    return sum(int(bar.mean() > 125) << (BITS - 1 - i) for i, bar in enumerate(bars))


def add_picture(
    container: Any,
    *,
    size: tuple[int, int] = (WIDTH, HEIGHT),
    time_base: Fraction | None = None,
    codec: str = "libx264",
    rate: Fraction | int = RATE,
    pixels: str = "yuv420p",
    gop: int = 12,
    sample_aspect: Fraction | None = None,
    rotation: int = 0,
    hflip: bool = False,
    transfer: int = 0,
    options: dict[str, str] | None = None,
) -> Any:
    """A video stream of fixed GOPs with B-frames."""
    fixed = {"bf": "2", "sc_threshold": "0", "preset": "veryfast", "crf": "16"}
    fixed = fixed if codec == "libx264" else {}
    stream = container.add_stream(codec, rate=rate, options=fixed | (options or {}))
    stream.width, stream.height = size
    stream.pix_fmt, stream.gop_size = pixels, gop
    if time_base:
        stream.codec_context.time_base = time_base
    if sample_aspect:
        stream.codec_context.sample_aspect_ratio = sample_aspect
    if rotation or hflip:
        stream.set_display_rotation(rotation, hflip=hflip)
    if transfer:
        stream.codec_context.color_trc = transfer
    return stream


def write_pictures(
    container: Any,
    stream: Any,
    images: Sequence[np.ndarray],
    pts: Sequence[int] | None = None,
    time_base: Fraction = Fraction(1, RATE),
) -> None:
    """Encodes and muxes all of a stream."""
    for i, image in enumerate(images):
        frame = av.VideoFrame.from_ndarray(image, format="rgb24")
        frame.pts, frame.time_base = pts[i] if pts else i, time_base
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def make(
    path: Path,
    frames: int = 48,
    *,
    images: Sequence[np.ndarray] | None = None,
    pts: Sequence[int] | None = None,
    time_base: Fraction = Fraction(1, RATE),
    muxer: dict[str, str] | None = None,
    metadata: dict[str, str] | None = None,
    **stream: Any,
) -> Path:
    """A film of numbered frames (or of `images`); `pts` count in `time_base`."""
    size = stream.setdefault("size", (WIDTH, HEIGHT))
    images = images or [numbered(i, *size) for i in range(frames)]
    with av.open(str(path), "w", options=muxer or {}) as container:
        container.metadata.update(metadata or {})
        video = add_picture(container, time_base=time_base, **stream)
        write_pictures(container, video, images, pts, time_base)
    return path


def tone(seconds: float, rate: int, channels: int = 1, hertz: float = 440.0) -> np.ndarray:
    """int16 `[samples channels]`: the same sine of half the full scale in all channels."""
    wave = np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate) * (1 << 14)
    return np.repeat(wave.astype(np.int16)[:, None], channels, axis=1)


def add_sound(container: Any, rate: int, codec: str = "pcm_s16le", channels: int = 1) -> Any:
    """An audio stream."""
    layout = {1: "mono", 2: "stereo"}[channels]
    return container.add_stream(codec, rate=rate, layout=layout)


def write_sound(
    container: Any, stream: Any, samples: np.ndarray, rate: int, first: int = 0, step: int = 1024
) -> None:
    """Encodes and muxes `samples`, whose first one is at the tick `first` of 1 / rate seconds."""
    layout = "mono" if samples.shape[1] == 1 else "stereo"
    for at in range(0, len(samples), step):
        part = np.ascontiguousarray(samples[at : at + step].reshape(1, -1))
        frame = av.AudioFrame.from_ndarray(part, format="s16", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = rate, first + at, Fraction(1, rate)
        container.mux(stream.encode(frame))


def make_sound(
    path: Path,
    parts: Sequence[tuple[float, np.ndarray]],
    rate: int = 16000,
    codec: str = "pcm_s16le",
    picture_s: float | None = 0.0,
) -> Path:
    """Sound whose `parts` begin at given seconds, beside one second of picture from `picture_s`."""
    with av.open(str(path), "w") as container:
        video = add_picture(container) if picture_s is not None else None
        audio = add_sound(container, rate, codec, parts[0][1].shape[1])
        if video:
            pts = [round(picture_s * RATE) + i for i in range(RATE)]
            write_pictures(container, video, [numbered(i) for i in range(RATE)], pts)
        for begin_s, samples in parts:
            write_sound(container, audio, samples, rate, round(begin_s * rate))
        container.mux(audio.encode(None))
    return path


def half(path: Path, share: float = 0.5) -> Path:
    """The first part of a file's bytes, beside it."""
    data = path.read_bytes()
    cut = path.with_name(f"half-{path.name}")
    cut.write_bytes(data[: int(len(data) * share)])
    return cut


def joined(path: Path, parts: Sequence[Path]) -> Path:
    """Transport streams one after the other, as recorders and HLS leave them."""
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


def flipped(whole: bytes, seed: int = 0) -> Iterator[bytes]:
    """40 copies of a file with 20 bytes changed, the same ones each time."""
    rng = np.random.default_rng(seed)
    for _ in range(40):
        data = bytearray(whole)
        for at in rng.integers(0, len(data), 20):
            data[at] = rng.integers(256)
        yield bytes(data)
