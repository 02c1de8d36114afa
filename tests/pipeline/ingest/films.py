"""Small films with known shots, a detector that finds them, and comparison of catalogs."""

import functools
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np

from tests.video.clips import add_picture, add_sound, make, tone, write_pictures, write_sound
from vujax.catalog import schema
from vujax.pipeline.ingest.detectors import share_detector
from vujax.pipeline.ingest.run import ingest
from vujax.pipeline.ingest.settings import IngestSettings
from vujax.pipeline.run import RunnerOptions
from vujax.pipeline.stage import Outcome
from vujax.video.decode import Chunk
from vujax.video.probe import VideoStream
from vujax.video.shots.base import Transition

COLOURS = ((200, 40, 40), (40, 200, 40), (40, 40, 200), (200, 200, 40), (40, 200, 200))
STEP = 30  # mean difference of two frames that makes a cut


class Cuts:
    """Finds cuts between plain colours; decides a few frames late, as networks do."""

    size = (9, 16)

    def __init__(self, late: int = 20) -> None:
        self.name, self._late = f"cuts-{late}", late

    def start(self, picture: VideoStream) -> "_Search":
        """Begins with a film."""
        return _Search(self._late)


class _Search:
    def __init__(self, late: int) -> None:
        self.decided, self._late = 0, late
        self._frames, self._last = 0, None
        self._held: list[Transition] = []

    def add(self, chunk: Chunk) -> list[Transition]:
        for image in chunk.small.astype(np.int16):
            if self._last is not None and np.abs(image - self._last).mean() > STEP:
                self._held.append(Transition(self._frames - 1, self._frames, score=0.75))
            self._last, self._frames = image, self._frames + 1
        self.decided = max(0, self._frames - self._late)
        return self._release(self.decided)

    def finish(self) -> list[Transition]:
        return self._release(self._frames)

    def _release(self, before: int) -> list[Transition]:
        sure = [t for t in self._held if t.boundary < before]
        self._held = [t for t in self._held if t.boundary >= before]
        return sure


class Held(Cuts):
    """Waits inside a film for as long as a file is there, so that a test can kill in mid-film."""

    def __init__(self, gate: str) -> None:
        super().__init__()
        self._gate = Path(gate)

    def start(self, picture: VideoStream) -> _Search:
        """Writes its process number into the gate's folder, then waits."""
        if self._gate.exists():
            (self._gate / str(os.getpid())).touch()
        while self._gate.exists():
            time.sleep(0.05)
        return super().start(picture)


class Deadly(Cuts):
    """Ends its process in every film of a given width, as a crash in a library would."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self._width = width

    def start(self, picture: VideoStream) -> _Search:
        """Dies, or begins."""
        if picture.shown[0] == self._width:
            os.abort()
        return super().start(picture)


class Hanging(Cuts):
    """Never comes back from films of a given width."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self._width = width

    def start(self, picture: VideoStream) -> _Search:
        """Hangs, or begins."""
        while picture.shown[0] == self._width:
            time.sleep(0.05)
        return super().start(picture)


def colours(lengths: Sequence[int], size: tuple[int, int] = (96, 64)) -> list[np.ndarray]:
    """Frames of shots of these lengths, each of one colour with a mark that moves."""
    images = []
    for shot, length in enumerate(lengths):
        for frame in range(length):
            image = np.full((size[1], size[0], 3), COLOURS[shot % len(COLOURS)], np.uint8)
            image[:4, frame % size[0]] = 255
            images.append(image)
    return images


def film(
    path: Path, lengths: Sequence[int] = (30, 12, 50), size: tuple[int, int] = (96, 64)
) -> Path:
    """A film of shots of these lengths, 24 frames a second."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return make(path, images=colours(lengths, size), size=size)


def film_with_sound(path: Path, lengths: Sequence[int], seconds: float) -> Path:
    """A film with a tone of some seconds."""
    with av.open(str(path), "w") as container:
        video = add_picture(container)
        audio = add_sound(container, 16000, "pcm_s16le")
        write_pictures(container, video, colours(lengths), list(range(sum(lengths))))
        write_sound(container, audio, tone(seconds, 16000), 16000)
        container.mux(audio.encode(None))
    return path


def folder_of_films(folder: Path, count: int = 4) -> Path:
    """A folder of films whose shots differ."""
    for i in range(count):
        film(folder / f"film{i}.mp4", (20 + i, 30, 14 + 2 * i))
    return folder


def run(
    folder: Path | Sequence[Path],
    root: Path,
    detector: object = Cuts,
    settings: IngestSettings | None = None,
    *,
    metadata: Path | None = None,
    **runner: object,
) -> list[Outcome]:
    """Ingests with one worker unless told otherwise."""
    paths = [folder] if isinstance(folder, Path) else list(folder)
    how = RunnerOptions(**{"workers": 1} | runner)
    detectors = functools.partial(share_detector, detector)
    prepared = ingest(paths, root, detectors, settings, metadata=metadata, runner=how)
    return [event for event in prepared.events if isinstance(event, Outcome)]


def contents(root: Path) -> dict[str, bytes]:
    """Every file of a catalogue."""
    return {
        str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()
    }


def staged(root: Path) -> list[Path]:
    """Folders of films that are being made."""
    return list((root / schema.STAGING).glob("*"))


def manifest(root: Path, name: str) -> dict:
    """The manifest of the film whose id begins so."""
    (path,) = (root / schema.MANIFESTS).glob(f"{name}-????????.json")
    return json.loads(path.read_text())
