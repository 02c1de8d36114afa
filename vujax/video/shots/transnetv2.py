"""TransNetV2 shot detection: windows of frames in, scores, then cuts and gradual transitions out.

Soucek and Lokoc, "TransNet V2: An effective deep network architecture for fast shot transition
detection" (2020), arXiv:2008.04838. The network has two heads: 'single' is trained to fire at the
last frame before a cut and in the middle of a gradual transition, 'many' at every frame of one.

Location: each run of frames with single > 0.5 is one transition, as in the original, whose code
uses this threshold. Extent is our rule, because the original gives none: a *burst* is a run of
frames with single or many above the same threshold; if it holds several runs of single, it is split
between them at the minimum of many. A piece of more than MAX_CUT_FRAMES frames is 'gradual', and
the frames before and after it belong to the shots; a shorter one is a 'cut' after its frame of
highest single. A transition of which a film shows only one side, at its very start or end, is
dropped.

Windows: the original scores every frame in a window of 100 that starts 25 to 74 frames before it,
so the network sees each frame twice. Ours are longer, with the same context at their ends; most
frames then see more of the film than in the original. `exact=True` restores the original's. The
film is padded by repeating its first and last frame, as in the original. All windows have one
shape, and memory does not grow with the film.

Still spans, in which no transition can lie, skip the network. A dissolve or a fade may change less
from one frame to the next than noise does, but the change adds up: each frame is therefore compared
with its predecessor and with one about a second earlier.
"""

import functools
import itertools
from collections import deque
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vujax.models import inference, pretrained, transnetv2
from vujax.utils.arrays import find_runs
from vujax.video.decode import SMALL_SIZE, Chunk
from vujax.video.probe import VideoStream
from vujax.video.shots.base import Transition

THRESHOLD = 0.5  # the original's
MAX_CUT_FRAMES = 3  # a longer burst is a gradual transition; that of a clean cut has one frame
MAX_BURST_FRAMES = 500  # a longer burst is closed there, so that memory stays bounded
DEFAULT_WINDOW = 300  # each frame is computed 1.2 times instead of twice; takes about 640 MiB
NUM_HEADS = 2
LOOKBACK = 25  # frames: a change below the limit over so many is invisible
MARGIN = 12  # frames around movement that do not count as still either

Score = Callable[[np.ndarray], Any]
"""Frames uint8 `[window h w 3]` -> float scores `[window NUM_HEADS]`; a NumPy or a JAX array."""


class TransNetDetector:
    """`ShotDetector` with the released network.

    Attributes:
      name: name with the hash of the weights and all settings that change results.
      size: height and width of the network's input.
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
        """Check the options; the weights are loaded when the first film starts.

        Args:
          window: frames per window of the network.
          context: frames at either end of a window whose scores are not used.
          threshold: minimum probability of a transition.
          skip_still: mean change, in levels of 255, up to which frames are still, see
            `MotionTracker`. In still spans the network is skipped and probabilities may be 0, which
            saves time in films with slides, credits or black. 0 never skips.
          exact: use the original's windows of 100 frames with 25 of context everywhere, and ignore
            `window`, `context` and `skip_still`.
          keep_scores: keep all probabilities in the detection's `scores`: 8 bytes per frame.

        Raises:
          ValueError: a value is out of range.
        """
        if exact:
            window, context = transnetv2.WINDOW, (transnetv2.WINDOW - transnetv2.MIDDLE) // 2
            skip_still = 0
        if not 0 <= 2 * context < window or not 0 < threshold < 1 or skip_still < 0:
            raise ValueError(
                "a window must be longer than its context at both ends, a threshold lies between 0 "
                f"and 1, and a change is not negative, got window={window}, context={context}, "
                f"threshold={threshold}, skip_still={skip_still}"
            )
        self._window, self._context, self._threshold = window, context, threshold
        self._skip_still, self._keep_scores = skip_still, keep_scores
        settings = f"w{window}-c{context}-t{threshold:g}-s{skip_still:g}"
        self.name = f"transnetv2-{pretrained.RELEASES['transnetv2'].sha256[:8]}-{settings}"

    @functools.cached_property
    def _score(self) -> "Score":
        variables = transnetv2.from_released(pretrained.load_weights("transnetv2"))
        if inference.choose_runtime() == "openvino":
            return open_with_openvino(variables)
        return functools.partial(compute_probabilities, jax.device_put(variables))

    @property
    def versions(self) -> dict[str, str]:
        """Version and precision of the network's runtime, unless it is JAX."""
        return inference.describe_runtime()

    def start(self, video: VideoStream) -> "TransNetDetection":
        """Start the detection of one film."""
        moving = MotionTracker(self._skip_still) if self._skip_still else None
        windows = WindowedScores(self._score, self._window, self._context, moving)
        return TransNetDetection(windows, self._threshold, keep_scores=self._keep_scores)


class TransNetDetection:
    """`Detection`: windows of frames in; probabilities, bursts, transitions out.

    Attributes:
      decided: see `Detection`.
    """

    def __init__(
        self, windows: "WindowedScores", threshold: float, *, keep_scores: bool = False
    ) -> None:
        """Start with the film's scores and the minimum probability of a transition."""
        self.decided = 0
        self._windows = windows
        self._threshold = threshold
        self._burst = np.zeros((0, NUM_HEADS), np.float32)  # of the frames from `decided` on
        self._all_scores: list[np.ndarray] | None = [] if keep_scores else None

    @property
    def scores(self) -> np.ndarray:
        """Probabilities float32 `[n 2]` of the frames so far: single, many.

        Raises:
          ValueError: the detector was made without `keep_scores`.
        """
        if self._all_scores is None:
            raise ValueError("scores were not kept; make the detector with keep_scores=True")
        return np.concatenate([np.zeros((0, NUM_HEADS), np.float32), *self._all_scores])

    def add(self, chunk: Chunk) -> list[Transition]:
        """Take the next frames; return the transitions that became final."""
        return self._close_bursts(self._windows.add(chunk.small), at_end=False)

    def finish(self) -> list[Transition]:
        """Return the transitions that were still open after the last chunk."""
        return self._close_bursts(self._windows.finish(), at_end=True)

    def _close_bursts(self, scores: list[np.ndarray], at_end: bool) -> list[Transition]:
        """Take the next scores; return the transitions of all bursts that are over."""
        if self._all_scores is not None:
            self._all_scores.extend(scores)
        rows, base = np.concatenate([self._burst, *scores]), self.decided
        bursts = _limit_length(find_runs((rows > self._threshold).any(axis=1)))
        is_open = bool(bursts) and bursts[-1][1] == len(rows) and not at_end
        open_from = bursts.pop()[0] if is_open else len(rows)
        found: list[Transition] = []
        for start, end in bursts:
            found += find_transitions(rows[start:end], base + start, self._threshold)
        self._burst, self.decided = rows[open_from:], base + open_from
        return [t for t in found if t.last >= 0 and not (at_end and t.first >= self.decided)]


def _limit_length(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Cut spans (start, end) into pieces of at most MAX_BURST_FRAMES frames."""
    step = MAX_BURST_FRAMES
    return [(i, min(i + step, end)) for start, end in spans for i in range(start, end, step)]


@jax.jit
def compute_probabilities(variables: Any, frames: jax.Array) -> jax.Array:
    """Return the probabilities single and many of frames, see `transnetv2.Logits`.

    Args:
      variables: variables of the network.
      frames: uint8 `[t 27 48 3]`.

    Returns:
      float32 `[t 2]`.
    """
    return _to_probabilities(transnetv2.TransNetV2().apply(variables, frames[None]))


def _to_probabilities(logits: Any) -> jax.Array:
    return jax.nn.sigmoid(jnp.stack([logits.single[0], logits.many[0]], axis=-1))


def open_with_openvino(variables: Any, precision: str | None = None) -> Score:
    """Return `compute_probabilities` with the convolutions through OpenVINO, in a thread.

    The rest, one percent of the work, stays in JAX and in float32.

    Args:
      variables: variables of the network.
      precision: see `inference.OpenVinoFunction`.
    """
    trunk = inference.OpenVinoFunction(transnetv2.Trunk().apply, variables, precision)
    placed = jax.device_put(variables)

    @jax.jit
    def classify(frames: jax.Array, features: transnetv2.Features) -> jax.Array:
        return _to_probabilities(transnetv2.Classifier().apply(placed, frames, features))

    def score(frames: np.ndarray) -> np.ndarray:
        features = transnetv2.Features._make(trunk(frames[None]))
        return np.asarray(classify(frames[None], features))

    return inference.run_in_background(score)


class WindowedScores:
    """Scores of one film's frames, in order, as the frames arrive."""

    def __init__(
        self, score: Score, window: int, context: int, moving: "MotionTracker | None" = None
    ) -> None:
        """Start with no frames.

        Args:
          score: the network.
          window: frames per window of the network.
          context: frames at either end of a window whose scores are dropped.
          moving: tracker of the frames that need a score; the others may get zeros. None scores
            all frames.
        """
        self._score, self._window, self._context = score, window, context
        self._moving = moving
        self._frames: np.ndarray | None = None  # frames that a window may still need
        self._base = 0  # number of the first of them
        self._next = 0  # first frame that is in no window yet
        self._needed = np.zeros(0, bool)  # flags of the frames from `_next` on, as far as known
        # The newest result is not waited for: the network works while the next frames are decoded.
        self._results: deque[tuple[Any, int, int]] = deque()

    def add(self, frames: np.ndarray) -> list[np.ndarray]:
        """Take frames uint8 `[n h w 3]`; return the next scores `[m NUM_HEADS]`, in parts."""
        known = self._frames is not None
        self._frames = np.concatenate([self._frames, frames]) if known else frames
        self._need(self._moving.add(frames) if self._moving else np.ones(len(frames), bool))
        self._start(ahead=self._window - self._context)
        return self._collect(leave=1)

    def finish(self) -> list[np.ndarray]:
        """Return the scores that were still open after the last frame."""
        if self._moving:
            self._need(self._moving.finish())
        self._start(ahead=0)
        return self._collect(leave=0)

    def _need(self, needed: np.ndarray) -> None:
        self._needed = np.concatenate([self._needed, needed])

    def _start(self, ahead: int) -> None:
        """Start all windows with at least `ahead` frames from their first scored frame on."""
        while len(self._needed):
            arrived = self._base + len(self._frames) - self._next
            scored = min(self._window - 2 * self._context, arrived)
            if still := int(np.argmax(np.append(self._needed, True))):
                self._advance(np.zeros((still, NUM_HEADS), np.float32), 0, still)
            elif arrived < ahead or len(self._needed) < scored:
                break
            else:
                self._advance(self._score(self._next_window()), self._context, scored)

    def _next_window(self) -> np.ndarray:
        first = self._next - self._context
        last_frame = self._base + len(self._frames) - 1
        numbers = np.arange(first, first + self._window).clip(0, last_frame)
        return self._frames[numbers - self._base]  # a copy, which the network may keep

    def _advance(self, result: Any, start: int, frames: int) -> None:
        """Use `frames` rows of `result`, from `start` on, as the scores of the next frames."""
        self._results.append((result, start, frames))
        self._next += frames
        self._needed = self._needed[frames:]
        base = max(self._base, self._next - self._context)
        self._frames, self._base = self._frames[base - self._base :], base

    def _collect(self, leave: int) -> list[np.ndarray]:
        """Return all results except the newest `leave`."""
        scores = []
        while len(self._results) > leave:
            result, start, frames = self._results.popleft()
            scores.append(np.asarray(result)[start : start + frames])
        return scores


class MotionTracker:
    """Detection of the frames near any movement, as a film's frames arrive.

    The flags of successive calls form one sequence, MARGIN frames behind the frames.
    """

    def __init__(self, limit: float) -> None:
        """Set the change, in levels of 255, above which a frame counts as moving."""
        self._limit = limit
        self._tail: np.ndarray | None = None  # the last LOOKBACK frames
        self._moves = np.zeros(MARGIN, bool)  # from MARGIN frames before the next flag on

    def add(self, frames: np.ndarray) -> np.ndarray:
        """Take frames uint8 `[n h w c]`; return bool `[m]` for the next m decided frames."""
        before = frames[:1] if self._tail is None else self._tail
        seen = np.concatenate([before, frames])
        numbers = np.arange(len(before), len(seen))
        moves = measure_change(frames, seen[numbers - 1]) > self._limit
        moves |= measure_change(frames, seen[np.maximum(numbers - LOOKBACK, 0)]) > self._limit
        self._tail = seen[-LOOKBACK:]
        return self._decide(moves)

    def finish(self) -> np.ndarray:
        """Return bool `[m]` for the frames that were still open after the last one."""
        return self._decide(np.zeros(MARGIN, bool))

    def _decide(self, moves: np.ndarray) -> np.ndarray:
        self._moves = np.concatenate([self._moves, moves])
        if len(self._moves) <= 2 * MARGIN:
            return np.zeros(0, bool)
        near = np.convolve(self._moves, np.ones(2 * MARGIN + 1, int), "valid") > 0
        self._moves = self._moves[len(near) :]
        return near


def measure_change(frames: np.ndarray, earlier: np.ndarray) -> np.ndarray:
    """Return the mean absolute difference of images uint8 `[n h w c]`, in levels: float64 `[n]`."""
    difference = np.abs(frames.astype(np.int16) - earlier)
    return difference.reshape(len(frames), -1).mean(axis=1)


def find_transitions(scores: np.ndarray, start: int, threshold: float) -> list[Transition]:
    """Return the transitions of a burst.

    Args:
      scores: scores of its frames, `[n 2]`: single, many.
      start: number of its first frame.
      threshold: minimum score of a run of single.
    """
    single, many = scores.T
    peaks, edges = find_runs(single > threshold), [-1]
    for (_, left), (right, _) in itertools.pairwise(peaks):
        edges.append(left + int(np.argmin(many[left:right])))  # in neither transition
    edges.append(len(scores))
    pieces = itertools.pairwise(edges) if peaks else ()
    return [_build_transition(single[e + 1 : f], start + e + 1) for e, f in pieces]


def _build_transition(single: np.ndarray, start: int) -> Transition:
    """Classify a piece of a burst by its `single` scores; `start` is its first frame."""
    score = float(single.max())
    if len(single) > MAX_CUT_FRAMES:
        return Transition(start - 1, start + len(single), "gradual", score)
    last = start + int(np.argmax(single))
    return Transition(last, last + 1, "cut", score)
