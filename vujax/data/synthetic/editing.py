"""The edit of a film: its shots in order, and the transitions between them.

A film opens with its studio's card and its title, tells scenes of the script one after the other
(its places recur), and closes with its cast, an end card and the studio's card. Shots meet in cuts,
dissolves and fades through black; inside a shot there may be a flash, a few white frames, which is
no transition. Everything is counted in frames and is a pure function of (film, rate, length).

Shot and reverse-shot look at opposite walls, which have paint of their own, the same in every scene
there; and no two shots are lit and printed equally. So colors change within a scene nearly as much
as from one scene to the next, and a scene is recognized by its content and by what recurs.
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from itertools import accumulate, pairwise

from vujax.data.synthetic.canvas import RGB, mix
from vujax.data.synthetic.random import Dice
from vujax.data.synthetic.script import Scene, Shot, make_scene, make_shot
from vujax.data.synthetic.story import STUDIOS, choose_names, choose_studio, make_title
from vujax.data.synthetic.world import Film, Palette, make_film
from vujax.video.shots.base import Transition

MIN_SHOT_FRAMES = 8  # frames of a shot, at any rate

MIN_SCENES = 2

CUT, DISSOLVE, FADE = KINDS = ("cut", "dissolve", "fade")

# Probability of each kind: within a scene, and at a scene boundary.
WITHIN = {CUT: 0.88, DISSOLVE: 0.09, FADE: 0.03}

BETWEEN = {CUT: 0.55, DISSOLVE: 0.25, FADE: 0.20}

HARD = {CUT: 1.0}  # within a part of plain cuts

LENGTH_S = {DISSOLVE: (0.25, 1.2), FADE: (0.5, 1.8)}

STAY_PROBABILITY = 0.3  # that the next scene is in the same place, beyond a random draw

NUM_PAPERS = 4  # styles of plain card

FLASH_PROBABILITY = 0.06  # of the shots

SWEEP_PROBABILITY = 0.10  # of the shots: the camera pans so fast that it looks like a transition

SWEEP_DISTANCE = 0.45  # in frame heights


@dataclass(frozen=True)
class Join:
    """The transition from one shot to the next.

    Attributes:
      kind: 'cut', 'dissolve', or 'fade': through black, sometimes with one side only.
      last: the last frame that shows the old shot alone.
      first: the first frame that shows the new shot alone.
      leaving: frames after `last` that still show the old shot.
      coming: frames before `first` that already show the new one.
    """

    kind: str
    last: int
    first: int
    leaving: int
    coming: int

    @property
    def transition(self) -> Transition:
        """The same as a `Transition` of shot detection."""
        return Transition(self.last, self.first, self.kind)

    def weights(self, frame: int) -> tuple[float, float]:
        """Return the shares of the old and the new shot in a frame of the transition.

        The rest is black.
        """
        old, new = frame - self.last, self.first - frame
        return (
            max(0.0, 1.0 - old / (self.leaving + 1)),
            max(0.0, 1.0 - new / (self.coming + 1)),
        )


@dataclass(frozen=True)
class Flash:
    """White frames `first` to `last`; `share` of white is mixed into them."""

    first: int
    last: int
    share: float


@dataclass(frozen=True)
class Card:
    """A plain, still card with text. Equal cards of other films look the same."""

    lines: tuple[str, ...]
    paper: int  # below PAPERS
    length_s: float


@dataclass(frozen=True)
class Excerpt:
    """A piece of an earlier shot, from `start_s` after its first visible frame."""

    shot: Shot
    start_s: float
    length_s: float


@dataclass(frozen=True)
class Part:
    """A scene of the edited film.

    Attributes:
      role: 'story', or 'opening' or 'closing', whose takes are cards and which have no scene
        (see `series` for those of episodes).
      scene: of the script; None outside the story.
      takes: shots, cards or excerpts.
      hard: there are only plain cuts inside.
    """

    role: str
    scene: Scene | None
    takes: tuple[Shot | Card | Excerpt, ...]
    hard: bool = False


@dataclass(frozen=True)
class Clip:
    """A shot in its place: frames `start` to `end` - 1, and its transitions.

    Attributes:
      take: its content.
      part: number of its part.
      start: first frame.
      end: one past the last frame.
      into: transition at its start.
      out: transition at its end.
      start_s: time of the take at the first frame of `seen`.
    """

    take: Shot | Card | Excerpt
    part: int
    start: int
    end: int
    into: Join | None
    out: Join | None
    start_s: float = 0.0

    @property
    def seen(self) -> range:
        """The frames that show anything of it, transitions included."""
        start = self.into.first - self.into.coming if self.into else self.start
        end = self.out.last + 1 + self.out.leaving if self.out else self.end
        return range(start, end)

    @property
    def alone(self) -> range:
        """The frames that show nothing else."""
        start = self.into.first if self.into else self.start
        return range(start, self.out.last + 1 if self.out else self.end)


@dataclass(frozen=True)
class Edit:
    """An edited film."""

    film: Film
    fps: Fraction
    parts: tuple[Part, ...]
    clips: tuple[Clip, ...]
    flashes: tuple[Flash, ...]

    @property
    def frames(self) -> int:
        """The number of frames."""
        return self.clips[-1].end

    @property
    def scenes(self) -> list[Scene]:
        """The scenes of the script, in the order shown."""
        return [part.scene for part in self.parts if part.scene]

    def clip_at(self, frame: int) -> int:
        """Return the number of the shot to which a frame counts."""
        if not 0 <= frame < self.frames:
            raise IndexError(f"frame {frame} is outside 0..{self.frames - 1}")
        return bisect_right(self.clips, frame, key=lambda clip: clip.start) - 1

    def layers(self, frame: int) -> tuple[tuple[int, float], ...]:
        """Return the shots in a frame with their shares, which sum to at most 1."""
        number = self.clip_at(frame)
        clip = self.clips[number]
        if frame in clip.alone:
            return ((number, 1.0),)
        into = clip.into is not None and frame < clip.into.first
        join, old = (clip.into, number - 1) if into else (clip.out, number)
        pairs = zip((old, old + 1), join.weights(frame), strict=True)
        return tuple((n, share) for n, share in pairs if share > 0)

    def flash(self, frame: int) -> float:
        """Return the share of white in a frame."""
        return next((f.share for f in self.flashes if f.first <= frame <= f.last), 0.0)

    def time_s(self, number: int, frame: int) -> float:
        """Return the seconds from the start of the take of shot `number` to a frame."""
        clip = self.clips[number]
        return clip.start_s + float((frame - clip.seen.start) / self.fps)


def parse_frame_rate(fps: Fraction | int | str) -> Fraction:
    """Convert a rate to frames per second.

    Raises:
      ValueError: it is not a rate.
    """
    try:
        return Fraction(fps)
    except (ValueError, ZeroDivisionError):
        raise ValueError(f"fps must be a rate such as 24 or 24000/1001, got {fps!r}") from None


def compute_night_preference(film: Film) -> float:
    """Return the film's preference of night over day, 0..1, which no label states."""
    return Dice((*film.key, "night")).uniform()


def make_edit(film: Film, fps: Fraction, minutes: float) -> Edit:
    """Edit the film at a rate.

    Its story is two thirds to four thirds of `minutes` long.
    """
    dice = Dice((*film.key, "edit"))
    parts = tuple(_parts(film, 60 * minutes * dice.uniform(2 / 3, 4 / 3)))
    return assemble_edit(film, fps, parts, dice)


def assemble_edit(film: Film, fps: Fraction, parts: tuple[Part, ...], dice: Dice) -> Edit:
    """Concatenate the parts; `dice` draws the transitions and the flashes."""
    takes = [(n, take) for n, part in enumerate(parts) for take in part.takes]
    lengths = [max(MIN_SHOT_FRAMES, round(take.length_s * fps)) for _, take in takes]
    starts = [0, *accumulate(lengths)]
    joins: list[Join | None] = [None]
    for k, ((a, _), (b, _)) in enumerate(pairwise(takes)):
        longest = min(lengths[k], lengths[k + 1]) // 2
        odds = BETWEEN if a != b else HARD if parts[a].hard else WITHIN
        joins.append(_join(dice, odds, starts[k + 1], longest, fps))
    joins.append(None)
    clips = tuple(
        _placed(Clip(take, part, starts[k], starts[k + 1], joins[k], joins[k + 1]), fps)
        for k, (part, take) in enumerate(takes)
    )
    soft = tuple(clip for clip in clips if not parts[clip.part].hard)
    return Edit(film, fps, parts, clips, tuple(_flashes(dice, soft, fps)))


def _parts(film: Film, length_s: float) -> Iterator[Part]:
    dice = Dice((*film.key, "cards"))
    logo = Card((choose_studio(film),), STUDIOS.index(choose_studio(film)) % NUM_PAPERS, 2.0)
    name = Card((make_title(film),), dice.below(NUM_PAPERS), dice.uniform(1.5, 3))
    yield Part("opening", None, (logo, name))
    for scene in _story(film, length_s):
        yield Part("story", scene, tuple(generate_takes(scene)))
    end = Card(("The End",), 0, 1.5)
    yield Part("closing", None, (make_cast_card(film, dice.uniform(2, 4)), end, logo))


def make_cast_card(film: Film, length_s: float) -> Card:
    """Make the card of the cast and their roles."""
    people = zip(choose_names(film), film.cast, strict=True)
    return Card(tuple(f"{name} ... {who.kind}" for name, who in people), 0, length_s)


def _story(film: Film, length_s: float) -> list[Scene]:
    """Draw scenes of the script, more by night or by day as the film prefers."""
    dice, dark = Dice((*film.key, "story")), compute_night_preference(film)
    scenes: list[Scene] = []
    number, told_s, stays = 0, 0.0, False
    while told_s < length_s or len(scenes) < MIN_SCENES:
        scene = make_scene(film, number)
        number += 1
        if stays and scene.place != scenes[-1].place:
            continue
        if dice.chance({"night": dark, "day": 1 - dark}.get(scene.time, 0.5)):
            scenes.append(scene)
            stays = dice.chance(STAY_PROBABILITY)
            told_s += sum(make_shot(scene, k).length_s for k in range(scene.shots))
    return scenes


def generate_takes(scene: Scene) -> Iterator[Shot]:
    """Yield the shots of a scene."""
    for k in range(scene.shots):
        shot = make_shot(scene, k)
        if Dice((*shot.key, "sweep")).chance(SWEEP_PROBABILITY):
            shot = replace(
                shot, move="pan", travel=SWEEP_DISTANCE if shot.travel > 0 else -SWEEP_DISTANCE
            )
        yield apply_angle(shot)


def _join(dice: Dice, odds: dict[str, float], start: int, longest: int, fps: Fraction) -> Join:
    """Draw the transition into a shot that starts at `start`.

    At most `longest` frames of it are mixed.
    """
    draw, shares = dice.uniform(), accumulate(odds.values())
    kind = next(k for k, share in zip(odds, shares, strict=True) if draw < share)
    if kind == CUT:
        return Join(kind, start - 1, start, 0, 0)
    between = max(3, min(longest, round(dice.uniform_in(LENGTH_S[kind]) * fps)))
    last = start - 1 - between // 2  # so that `start` is the Transition's boundary
    leaving = coming = between
    if kind == FADE:
        leaving, coming = _fade(dice, between)
    return Join(kind, last, last + 1 + between, leaving, coming)


def _fade(dice: Dice, between: int) -> tuple[int, int]:
    """Draw the frames that darken and that lighten.

    Some are black, and one side may be a cut.
    """
    black = max(1, round(between * dice.uniform(0.05, 0.4)))
    sides = dice.pick(("both", "both", "to black", "from black"))
    darken = {"both": (between - black) // 2, "to black": between - black, "from black": 0}[sides]
    return darken, between - black - darken


def _placed(clip: Clip, fps: Fraction) -> Clip:
    """Fit the camera's move to the visible frames of the clip.

    An excerpt keeps the timing of its first appearance.
    """
    if isinstance(clip.take, Excerpt):
        return replace(clip, take=clip.take.shot, start_s=clip.take.start_s)
    if isinstance(clip.take, Card):
        return clip
    return replace(clip, take=replace(clip.take, length_s=float(len(clip.seen) / fps)))


def _flashes(dice: Dice, clips: tuple[Clip, ...], fps: Fraction) -> Iterator[Flash]:
    for clip in clips:
        length = max(1, round(dice.uniform(0.03, 0.13) * fps))
        margin = max(3, round(fps / 4))
        room = len(clip.alone) - 2 * margin - length
        if isinstance(clip.take, Shot) and room > 0 and dice.chance(FLASH_PROBABILITY):
            first = clip.alone.start + margin + dice.below(room)
            yield Flash(first, first + length - 1, dice.uniform(0.75, 1.0))


OTHER = (0.15, 0.65)  # distance of the other side's paint from this side's, of 1

LIGHT = (0.88, 1.12)  # of a set-up: one side in one scene

TINT = (0.95, 1.05)  # of a set-up, to each channel

MATCH = (0.82, 1.18)  # of a single shot


def apply_angle(shot: Shot) -> Shot:
    """Return the shot with the paint of its wall and the light of its set-up."""
    scene = shot.scene
    film = scene.film
    setup = Dice((*scene.key, "setup", shot.side))
    light = setup.uniform_in(LIGHT) * Dice((*shot.key, "match")).uniform_in(MATCH)
    exposure = tuple(light * setup.uniform_in(TINT) * gain for gain in film.exposure)
    palette = film.palette if shot.side > 0 else _other_side(film, scene.place)
    film = replace(film, palette=palette, exposure=exposure)
    return replace(shot, scene=replace(scene, film=film))


def _other_side(film: Film, place: str) -> Palette:
    """Return the paint of a place's other wall, a mix with another film's paint."""
    dice = Dice((*film.key, "other side", place))
    other = make_film(dice.below(1 << 32), "other side", film.number).palette
    share = dice.uniform_in(OTHER)

    def paint(name: str) -> RGB | tuple[RGB, ...]:
        a, b = getattr(film.palette, name), getattr(other, name)
        if name == "houses":
            return tuple(mix(x, y, share) for x, y in zip(a, b, strict=True))
        return mix(a, b, share)

    return Palette(**{field.name: paint(field.name) for field in fields(Palette)})
