"""Films as files: H.264 and AAC in MP4, written frame by frame; sets and series.

The same settings give the same truth and the same frames; the bytes of a file may differ between
builds of x264.
"""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from fractions import Fraction
from functools import partial
from multiprocessing import get_context, parent_process
from pathlib import Path
from threading import Thread

import av

from vujax.data.synthetic.dataset_images import DEFAULTS
from vujax.data.synthetic.editing import Edit, parse_frame_rate
from vujax.data.synthetic.films import (
    build_episode_truth,
    build_film_truth,
    build_series_truth,
    build_set_truth,
    format_episode_name,
    format_film_name,
    make_film_edit,
    make_set_episode,
)
from vujax.data.synthetic.ground_truth import (
    SUFFIX,
    FilmTruth,
    Settings,
    SetTruth,
    read_truth,
    write_truth,
)
from vujax.data.synthetic.screen import Screen
from vujax.data.synthetic.series import MAX_EPISODES
from vujax.data.synthetic.sound import Soundtrack
from vujax.utils.io import write_atomically
from vujax.utils.system import count_cores
from vujax.video.probe import FilmError, probe_film

SET = "set.json"
# One thread and one preset, so that a build of x264 gives the same bytes on every machine.
X264 = {"preset": "veryfast", "crf": "24", "threads": "1"}
MAX_KEYFRAME_INTERVAL_S = 4  # between keyframes at most
AUDIO_BITS_PER_CHANNEL = 64_000  # per second and channel


def write_set(
    folder: str | Path,
    films: int = 20,
    seed: int = 0,
    split: str = "train",
    *,
    height: int = 180,
    width: int = 320,
    fps: Fraction | int | str = 24,
    minutes: float = 3.0,
    sound_rate: int = 48000,
    channels: int = 1,
    series: bool = False,
    workers: int | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> SetTruth:
    """Write film-0000.mp4 with film-0000.truth.json ... and set.json into a folder.

    A complete film with the truth of these settings is not drawn again, so a stopped run resumes
    where it stopped. One run at a time may work in a folder.

    The 20 films of the defaults are 66 minutes in 93 MB and take 350 seconds of one core.

    Args:
      folder: created if it is missing; other files in it are left alone.
      films: number of films.
      seed: another seed gives other films.
      split: 'train' or 'validation': other films, the same vocabulary; or one of THEMED_SPLITS of
        `vujax.data.synthetic.world`.
      height: of the frames, an even number of pixels.
      width: likewise.
      fps: frames per second, such as 24 or '24000/1001'.
      minutes: mean length of a story; a film's is two thirds to four thirds of it, and the scene
        then started, at least two scenes in all; cards come on top.
      sound_rate: samples per second.
      channels: of the sound, one or two.
      series: the films are the episodes of one series, episode-0000.mp4 ... (see
        `vujax.data.synthetic.series`); an episode does not depend on their number.
      workers: processes that draw; None: as many as there are cores.
      progress: called with (name, films done, films in all) after each film.

    Workers are spawned: a script that calls this needs `if __name__ == "__main__":`.

    Raises:
      ValueError: for a number out of range; names it.
      ChildProcessError: a worker was killed.
    """
    settings = Settings(
        seed, split, float(minutes), parse_frame_rate(fps), height, width, sound_rate, channels
    )
    _check(settings, films, workers)
    if series and films > MAX_EPISODES:
        raise ValueError(f"a series has at most {MAX_EPISODES} episodes, got {films}")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(folder, films)
    truth = (build_series_truth if series else build_set_truth)(settings, films)
    if not _has_truth(folder / SET, truth):
        (folder / SET).unlink(missing_ok=True)
    make = partial(write_film, folder, settings, series=series)
    for done, film in enumerate(_each(make, films, workers or count_cores()), 1):
        if progress:
            progress(film, done, films)
    if not _has_truth(folder / SET, truth):
        write_truth(folder / SET, truth)
    return truth


def write_film(folder: Path, settings: Settings, number: int, *, series: bool = False) -> str:
    """Write one film, or episode, and its truth, unless both exist; return its name."""
    truth = (build_episode_truth if series else build_film_truth)(settings, number)
    video, beside = folder / f"{truth.name}.mp4", folder / f"{truth.name}{SUFFIX}"
    if _has_truth(beside, truth) and _is_complete(video, truth):
        return truth.name
    # The old truth is removed first, so that none is ever beside another film than its own.
    beside.unlink(missing_ok=True)
    edit = make_set_episode(settings, number).edit if series else make_film_edit(settings, number)
    write_atomically(video, lambda path: _encode(path, edit, settings))
    write_truth(beside, truth)
    return truth.name


def _encode(path: Path, edit: Edit, settings: Settings) -> None:
    with av.open(f"file:{path.absolute()}", "w", format="mp4") as container:
        images = container.add_stream("libx264", rate=edit.fps, options=X264)
        images.width, images.height, images.pix_fmt = settings.width, settings.height, "yuv420p"
        images.gop_size = round(MAX_KEYFRAME_INTERVAL_S * edit.fps)
        images.codec_context.thread_count = 1
        layout = "mono" if settings.channels == 1 else "stereo"
        sounds = container.add_stream("aac", rate=settings.sound_rate, layout=layout)
        sounds.bit_rate = AUDIO_BITS_PER_CHANNEL * settings.channels
        screen = Screen(edit, settings.height, settings.width)
        blocks = _sound_frames(edit, settings, layout)
        second = max(1, round(edit.fps))
        for number in range(edit.frames):
            frame = av.VideoFrame.from_ndarray(screen.frame(number), format="rgb24")
            frame.pts, frame.time_base = number, 1 / edit.fps
            container.mux(images.encode(frame))
            # A second of sound for a second of frames, so that neither waits for the other.
            if number % second == 0 and (block := next(blocks, None)):
                container.mux(sounds.encode(block))
        container.mux(images.encode(None))
        for block in blocks:
            container.mux(sounds.encode(block))
        container.mux(sounds.encode(None))


def _sound_frames(edit: Edit, settings: Settings, layout: str) -> Iterator[av.AudioFrame]:
    """Yield the soundtrack, second by second."""
    track, rate = Soundtrack(edit, settings.sound_rate, settings.channels), settings.sound_rate
    for first in range(0, track.samples, rate):
        frame = av.AudioFrame.from_ndarray(track.block(first, rate), format="fltp", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = rate, first, Fraction(1, rate)
        yield frame


def _each(make: Callable[[int], str], films: int, workers: int) -> Iterator[str]:
    """Yield `make` of each number, in this process or in several."""
    if min(workers, films) == 1:
        yield from map(make, range(films))
        return
    # Spawned, not forked: a fork of a process with threads, such as JAX's, may hang.
    pool = ProcessPoolExecutor(
        min(workers, films), mp_context=get_context("spawn"), initializer=_end_with_parent
    )
    try:
        jobs = [pool.submit(make, number) for number in range(films)]
        yield from (job.result() for job in as_completed(jobs))
    except BrokenProcessPool:
        raise ChildProcessError(
            "a worker was killed, perhaps for its memory; run again with fewer workers:"
            " finished films are kept"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _end_with_parent() -> None:
    """End a worker when its parent is killed, instead of waiting for work forever."""

    def watch() -> None:
        parent_process().join()
        os._exit(1)

    Thread(target=watch, daemon=True).start()


def _has_truth(path: Path, truth: FilmTruth | SetTruth) -> bool:
    """Return True if a truth file holds this truth."""
    with suppress(ValueError, FileNotFoundError):
        return read_truth(path) == truth
    return False


def _is_complete(video: Path, truth: FilmTruth) -> bool:
    """Return True if the file ends where it should and its header fits this film."""
    with suppress(FilmError, FileNotFoundError):
        film = probe_film(video)
        if film.video and film.audio and _ends_with_a_box(video):
            size = (truth.settings.width, truth.settings.height)
            missing_s = abs((film.video.duration_s or 0) - truth.duration_s)
            return film.video.coded == size and missing_s < 1 / (2 * truth.fps)
    return False


def _ends_with_a_box(video: Path) -> bool:
    """Return True if the MP4's boxes fill the file exactly (ISO 14496-12, 4.2)."""
    offset, end = 0, video.stat().st_size
    with video.open("rb") as file:
        while offset < end:
            file.seek(offset)
            head = file.read(16)
            size = int.from_bytes(head[:4])
            size = int.from_bytes(head[8:]) if size == 1 else size
            if size < 8:
                return False
            offset += size
    return offset == end


def _remove_leftovers(folder: Path, films: int) -> None:
    """Remove half-written files of a killed run."""
    formats = (format_film_name, format_episode_name)
    for stem in (SET, *(name(number) for number in range(films) for name in formats)):
        for leftover in folder.glob(f".{stem}*.tmp"):
            leftover.unlink(missing_ok=True)


def _check(settings: Settings, films: int, workers: int | None) -> None:
    if settings.split not in DEFAULTS:
        raise ValueError(
            f"unknown split {settings.split!r}; expected one of: {', '.join(DEFAULTS)}"
        )
    for name, value, low, high in (
        ("films", films, 1, 10_000),
        ("workers", 1 if workers is None else workers, 1, 1024),
        ("height", settings.height, 16, 2160),
        ("width", settings.width, 16, 4096),
        ("fps", settings.fps, 5, 120),
        ("minutes", settings.minutes, 0, 600),
        ("sound_rate", settings.sound_rate, 8000, 48000),
        ("channels", settings.channels, 1, 2),
    ):
        if not low <= value <= high:
            raise ValueError(f"{name} must be within {low}..{high}, got {value}")
    if settings.height % 2 or settings.width % 2:
        raise ValueError(
            f"height {settings.height} and width {settings.width} must be even for H.264"
        )
