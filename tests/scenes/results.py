"""Scene detection results without films: scenes of given lengths at any frame rate."""

from collections.abc import Sequence
from fractions import Fraction

from vujax.scenes.types import DetectedScenes, build_scenes
from vujax.video.timecode import Clock

NTSC_FILM = Fraction(24000, 1001)
NTSC = Fraction(30000, 1001)
HOSTILE = "a \"b\"; c=d #e \\ \n00:01 --> 00:02\n<script>alert('x')</script>"


def result(
    shots: Sequence[int] = (30, 12, 50, 41),
    boundaries: Sequence[int] = (1, 2),
    rate: Fraction = NTSC_FILM,
    start: Fraction = Fraction(0),
    title: str = "A film",
    path: str = "/films/film.mp4",
    variable_rate: bool = False,
    clock: Clock | None = None,
) -> DetectedScenes:
    """Return the scenes of a film with shots of these lengths in frames."""
    clock = clock or Clock(Fraction(1, 90000), start, rate)
    edges = [sum(shots[:i]) for i in range(len(shots) + 1)]
    pts = [clock.pts(edge / rate) for edge in edges]
    rows = [
        dict(
            begin_s=float(clock.seconds(pts[i])),
            end_s=float(clock.seconds(pts[i + 1])),
            begin_pts=pts[i],
            end_pts=pts[i + 1],
            first_frame=edges[i],
            last_frame=edges[i + 1] - 1,
        )
        for i in range(len(shots))
    ]
    scores = [0.9 if i in boundaries else 0.1 for i in range(len(shots) - 1)]
    made = dict(detector="cuts", encoder="stub", encoder_digest="0" * 64, head="default")
    made |= dict(head_digest=None, scenes_wished=None, min_duration=0.0, adapted=False)
    return DetectedScenes(
        film="film-01234567",
        path=path,
        title=title,
        clock=clock,
        size=(96, 64),
        variable_rate=variable_rate,
        reason="",
        boundaries_s=tuple(row["begin_s"] for row in rows[1:]),
        scores=tuple(scores),
        threshold=0.5,
        provenance=made,
        scenes=build_scenes("film-01234567", rows, clock, scores, boundaries, variable_rate),
    )
