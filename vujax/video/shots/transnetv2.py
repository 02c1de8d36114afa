"""Transitions found by TransNetV2, from a film's frames as they arrive.

Soucek and Lokoc, "TransNet V2: An effective deep network architecture for fast shot transition
detection" (2020), arXiv:2008.04838. The network has two heads. 'single' was trained to fire at the
last frame before a cut and in the middle of a gradual transition, 'many' at every frame of one.

Where: each run of frames with single > 0.5 is one transition, as in the original, whose code uses
this threshold. How long is our rule, for the original gives no extents: a *burst* is a run of
frames with single or many above the same threshold; if it has several runs of single, it is divided
between them where many is least. A piece of more than CUT_FRAMES frames is 'gradual', and the
frames before and after it are the shots'; a shorter one is a 'cut' after its frame of highest
single. A transition of which a film shows only one side, at its very start or end, is none.

Windows: the original scores every frame in a window of 100 that begins 25 to 74 frames before it,
so the network sees each frame twice. Ours are longer, with the same context at their ends; most
frames then see more of the film than in the original. `exact=True` gives the original's.

Scores for every frame of a film from a network that sees windows of a fixed number of frames.

A window keeps the scores of the frames in its middle; those at either end only give context. A
film is continued before its first frame and after its last one by repeating them, as the original
TransNetV2 does. All windows have one shape, and memory does not grow with the film.

Spans of a film in which nothing moves, and so no transition can lie.

A dissolve or a fade may change less from one frame to the next than noise does, but it adds up:
each frame is compared with its predecessor and with one about a second back.
"""

import functools
import itertools
from collections import deque
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vujax.models import pretrained, transnetv2
from vujax.video.decode import SMALL_SIZE, Chunk
from vujax.video.probe import VideoStream
from vujax.video.shots.base import Transition

LOOKBACK = 25  # frames: what changes less than the limit in so many cannot be seen

MARGIN = 12  # frames before and after whatever moves that do not count as still either


def measure_change(frames: np.ndarray, earlier: np.ndarray) -> np.ndarray:
    """Mean absolute difference of pictures uint8 `[n h w c]`, in levels of 255: float64 `[n]`."""
    difference = np.abs(frames.astype(np.int16) - earlier)
    return difference.reshape(len(frames), -1).mean(axis=1)


class MotionTracker:
    """Tells, as a film's frames arrive, which of them lie near anything that moves.

    The answers continue each other; they lag MARGIN frames behind the frames.
    """

    def __init__(self, limit: float) -> None:
        """Says that a frame moves when it differs by more than `limit` levels from those before."""
        self._limit = limit
        self._tail: np.ndarray | None = None  # the last BACK frames
        self._moves = np.zeros(MARGIN, bool)  # from MARGIN frames before the next answer on

    def add(self, frames: np.ndarray) -> np.ndarray:
        """Takes frames uint8 `[n h w c]`; bool `[m]` for the next m that can be told."""
        before = frames[:1] if self._tail is None else self._tail
        seen = np.concatenate([before, frames])
        at = np.arange(len(before), len(seen))
        moves = measure_change(frames, seen[at - 1]) > self._limit
        moves |= measure_change(frames, seen[np.maximum(at - LOOKBACK, 0)]) > self._limit
        self._tail = seen[-LOOKBACK:]
        return self._answer(moves)

    def finish(self) -> np.ndarray:
        """After the last frame: bool `[m]` for those that were still open."""
        return self._answer(np.zeros(MARGIN, bool))

    def _answer(self, moves: np.ndarray) -> np.ndarray:
        self._moves = np.concatenate([self._moves, moves])
        if len(self._moves) <= 2 * MARGIN:
            return np.zeros(0, bool)
        near = np.convolve(self._moves, np.ones(2 * MARGIN + 1, int), "valid") > 0
        self._moves = self._moves[len(near) :]
        return near


NUM_HEADS = 2

Score = Callable[[np.ndarray], Any]

"""Frames uint8 `[window h w 3]` -> float scores `[window HEADS]`, of numpy or unfinished of jax."""


class WindowedScores:
    """The scores of one film, frame after frame, as its frames arrive."""

    def __init__(
        self, score: Score, window: int, context: int, moving: MotionTracker | None = None
    ) -> None:
        """Begins with a film.

        Args:
          score: the network.
          window: frames that it takes.
          context: frames at either end of a window whose scores are dropped.
          moving: tells which frames need a score; the others may get zeros. None: all need one.
        """
        self._score, self._window, self._context = score, window, context
        self._moving = moving
        self._frames: np.ndarray | None = None  # those that a window may still need,
        self._base = 0  # the first of which has this number
        self._next = 0  # the first frame that is in no window yet
        self._needed = np.zeros(0, bool)  # of the frames from `_next` on, as far as it is known
        # The newest result is not waited for: the network works while the next frames are decoded.
        self._results: deque[tuple[Any, int, int]] = deque()

    def add(self, frames: np.ndarray) -> list[np.ndarray]:
        """Takes frames uint8 `[n h w 3]`; scores `[m HEADS]` that continue those given before."""
        known = self._frames is not None
        self._frames = np.concatenate([self._frames, frames]) if known else frames
        self._need(self._moving.add(frames) if self._moving else np.ones(len(frames), bool))
        self._start(ahead=self._window - self._context)
        return self._collect(leave=1)

    def finish(self) -> list[np.ndarray]:
        """After the last frame: the scores that were still open."""
        if self._moving:
            self._need(self._moving.finish())
        self._start(ahead=0)
        return self._collect(leave=0)

    def _need(self, needed: np.ndarray) -> None:
        self._needed = np.concatenate([self._needed, needed])

    def _start(self, ahead: int) -> None:
        """Starts all windows that have at least `ahead` frames from their first kept one on."""
        while len(self._needed):
            arrived = self._base + len(self._frames) - self._next
            kept = min(self._window - 2 * self._context, arrived)
            if still := int(np.argmax(np.append(self._needed, True))):
                self._advance(np.zeros((still, NUM_HEADS), np.float32), 0, still)
            elif arrived < ahead or len(self._needed) < kept:
                break
            else:
                self._advance(self._score(self._next_window()), self._context, kept)

    def _next_window(self) -> np.ndarray:
        first = self._next - self._context
        last_frame = self._base + len(self._frames) - 1
        numbers = np.arange(first, first + self._window).clip(0, last_frame)
        return self._frames[numbers - self._base]  # a copy, which the network may hold on to

    def _advance(self, result: Any, begin: int, frames: int) -> None:
        """Takes `frames` rows of `result` from `begin` on for the next frames' scores."""
        self._results.append((result, begin, frames))
        self._next += frames
        self._needed = self._needed[frames:]
        base = max(self._base, self._next - self._context)
        self._frames, self._base = self._frames[base - self._base :], base

    def _collect(self, leave: int) -> list[np.ndarray]:
        """All results but the newest `leave`."""
        scores = []
        while len(self._results) > leave:
            result, begin, frames = self._results.popleft()
            scores.append(np.asarray(result)[begin : begin + frames])
        return scores


THRESHOLD = 0.5  # the original's

MAX_CUT_FRAMES = 3  # a burst of more frames is a gradual transition; that of a clean cut has one

MAX_BURST_FRAMES = 500  # frames of a burst; it is closed there, so that memory stays bounded

DEFAULT_WINDOW = 300  # each frame is computed 1.2 times instead of twice; takes about 640 MiB


@jax.jit
def compute_probabilities(variables: Any, frames: jax.Array) -> jax.Array:
    """Frames uint8 `[t 27 48 3]` -> float32 `[t 2]`: single, many (see `transnetv2.Logits`)."""
    logits: Any = transnetv2.TransNetV2().apply(variables, frames[None])
    return jax.nn.sigmoid(jnp.stack([logits.single[0], logits.many[0]], axis=-1))


class TransNetDetector:
    """A `ShotDetector` with the released network.

    Attributes:
      name: with the weights' hash and all settings that change results.
      size: height and width of the frames that it sees.
    """

    size = SMALL_SIZE

    def __init__(
        self,
        *,
        window: int = DEFAULT_WINDOW,
        context: int = 25,
        threshold: float = THRESHOLD,
        skip_still: float = 2.0,
        exact: bool = False,
        keep_scores: bool = False,
    ) -> None:
        """Loads the weights when the first film begins.

        Args:
          window: frames that the network sees at once.
          context: frames at either end of a window whose scores are not used.
          threshold: probability above which a frame counts.
          skip_still: mean change, in levels of 255, up to which frames are still, see `Moving`;
            where they do, the network need not run, and probabilities may be 0. Pays in films with
            slides, credits or black; where something always moves it saves nothing. 0: never.
          exact: the original's windows of 100 frames with 25 of context everywhere, whatever
            `window`, `context` and `skip_still` say.
          keep_scores: keep all probabilities in the detection's `scores`: 8 bytes a frame.

        Raises:
          ValueError: a value is out of range.
        """
        if exact:
            window, context = transnetv2.WINDOW, (transnetv2.WINDOW - transnetv2.MIDDLE) // 2
            skip_still = 0
        if not 0 <= 2 * context < window or not 0 < threshold < 1 or skip_still < 0:
            raise ValueError(
                f"window={window}, context={context}, threshold={threshold}, skip_still="
                f"{skip_still} cannot be: a window must be longer than its context at both ends, "
                "a threshold lies between 0 and 1, and a change is not negative."
            )
        self._window, self._context, self._threshold = window, context, threshold
        self._skip_still, self._keep_scores = skip_still, keep_scores
        settings = f"w{window}-c{context}-t{threshold:g}-s{skip_still:g}"
        self.name = f"transnetv2-{pretrained.RELEASES['transnetv2'].sha256[:8]}-{settings}"

    @functools.cached_property
    def _variables(self) -> Any:
        return jax.device_put(transnetv2.from_released(pretrained.load_weights("transnetv2")))

    def start(self, picture: VideoStream) -> "TransNetDetection":
        """Begins with a film."""
        variables = self._variables
        moving = MotionTracker(self._skip_still) if self._skip_still else None
        windows = WindowedScores(
            lambda frames: compute_probabilities(variables, frames),
            self._window,
            self._context,
            moving,
        )
        return TransNetDetection(windows, self._threshold, keep_scores=self._keep_scores)


class TransNetDetection:
    """A `Detection`: windows of frames in, probabilities, bursts, transitions out.

    Attributes:
      decided: see `Detection`.
    """

    def __init__(
        self, windows: WindowedScores, threshold: float, *, keep_scores: bool = False
    ) -> None:
        """Begins with a film, whose probabilities `windows` gives."""
        self.decided = 0
        self._windows = windows
        self._threshold = threshold
        self._burst = np.zeros((0, NUM_HEADS), np.float32)  # of the frames from `decided` on
        self._kept: list[np.ndarray] | None = [] if keep_scores else None

    @property
    def scores(self) -> np.ndarray:
        """Probabilities float32 `[n 2]` of the frames so far: single, many.

        Raises:
          ValueError: the detector was not told to keep them.
        """
        if self._kept is None:
            raise ValueError("The scores were not kept: make the detector with keep_scores=True.")
        return np.concatenate([np.zeros((0, NUM_HEADS), np.float32), *self._kept])

    def add(self, chunk: Chunk) -> list[Transition]:
        """Takes the next frames; the transitions that became sure by them."""
        return self._closed(self._windows.add(chunk.small), at_end=False)

    def finish(self) -> list[Transition]:
        """After the last chunk: the transitions that were still open."""
        return self._closed(self._windows.finish(), at_end=True)

    def _closed(self, scores: list[np.ndarray], at_end: bool) -> list[Transition]:
        """The transitions of all bursts that are over with these next scores."""
        if self._kept is not None:
            self._kept.extend(scores)
        rows, base = np.concatenate([self._burst, *scores]), self.decided
        bursts = find_runs((rows > self._threshold).any(axis=1))
        pieces = [
            (i, min(i + MAX_BURST_FRAMES, end))
            for b, end in bursts
            for i in range(b, end, MAX_BURST_FRAMES)
        ]
        is_open = bool(pieces) and pieces[-1][1] == len(rows) and not at_end
        open_from = pieces.pop()[0] if is_open else len(rows)
        found = [
            t for b, end in pieces for t in find_transitions(rows[b:end], base + b, self._threshold)
        ]
        self._burst, self.decided = rows[open_from:], base + open_from
        return [t for t in found if t.last >= 0 and not (at_end and t.first >= self.decided)]


def find_transitions(scores: np.ndarray, begin: int, threshold: float) -> list[Transition]:
    """The transitions in a burst.

    Args:
      scores: of its frames, `[n 2]`: single, many.
      begin: the number of its first frame.
      threshold: that makes runs of single.
    """
    single, many = scores.T
    peaks, edges = find_runs(single > threshold), [-1]
    for (_, left), (right, _) in itertools.pairwise(peaks):
        edges.append(left + int(np.argmin(many[left:right])))  # shown by neither transition
    edges.append(len(scores))
    pieces = itertools.pairwise(edges) if peaks else ()
    return [_transition(single[e + 1 : f], begin + e + 1) for e, f in pieces]


def _transition(single: np.ndarray, begin: int) -> Transition:
    """What a piece of a burst is, by its `single` and the number of its first frame."""
    score = float(single.max())
    if len(single) > MAX_CUT_FRAMES:
        return Transition(begin - 1, begin + len(single), "gradual", score)
    last = begin + int(np.argmax(single))
    return Transition(last, last + 1, "cut", score)


def find_runs(flags: np.ndarray) -> list[tuple[int, int]]:
    """Begin and end (exclusive) of every run of True in bool `[n]`."""
    steps = np.diff(np.concatenate([[0], flags.astype(np.int8), [0]]))
    return list(zip(*(np.flatnonzero(steps == s).tolist() for s in (1, -1)), strict=True))
