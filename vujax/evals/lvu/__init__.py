"""LVU from frozen vectors: nine tasks, scored so that nobody is fooled.

    lvu = LVU.open("lvu_1.0")
    score = evaluate(lvu["director"], vectors)      # {clip: [d] or [windows d]}
    score.score, score.covered.sum(), len(score.covered), score.baselines
    interval([score], by="movies")
    paired([score], [evaluate(lvu["director"], others)])

The list that is reported chooses nothing: penalties are chosen by parts of the train list that
share no movie, or by the validation list when the test list is reported. Clips without vectors are
counted, and answered by the constant in the score of all clips. Beside each score stands what the
constant gets. As a command, which prints a table:

    python -m vujax.evals.lvu --lvu lvu_1.0 --vectors seed0.npz seed1.npz --against other.npz \\
        --condensed condensed_movies --movieclip movieclip/*_labels.txt*

Classes are scored by accuracy, numbers by mean squared error (`vujax.data.datasets.lvu`).
"""

from vujax.data.datasets.lvu import LVU
from vujax.evals.lvu.compare import (
    constant_interval,
    paired_interval,
    score_interval,
    seed_interval,
)
from vujax.evals.lvu.score import TaskScore, evaluate
from vujax.evals.lvu.windows import group_by_clip, read_clip_embeddings

__all__ = [
    "LVU",
    "TaskScore",
    "constant_interval",
    "evaluate",
    "group_by_clip",
    "paired_interval",
    "read_clip_embeddings",
    "score_interval",
    "seed_interval",
]
