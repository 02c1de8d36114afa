"""LVU from frozen embeddings: nine tasks, with honest scores.

    lvu = LVU.open("lvu_1.0")
    score = evaluate(lvu["director"], embeddings)   # {clip: [d] or [windows d]}
    score.score, score.covered.sum(), len(score.covered), score.baselines
    score_interval([score], by="movies")
    paired_interval([score], [evaluate(lvu["director"], others)])

The reported list chooses nothing: penalties are chosen by folds of the train list that share no
movie, or by the validation list when the test list is reported. Clips without embeddings are
counted, and get the constant prediction in the score of all clips. Beside each score stands that of
the constant. As a command, which prints a table:

    python -m vujax.evals.lvu --lvu lvu_1.0 --vectors seed0.npz seed1.npz --against other.npz \\
        --condensed condensed_movies --movieclip movieclip/*_labels.txt*

Classes are scored by accuracy, numbers by mean squared error (`vujax.data.datasets.lvu`).
"""

from vujax.data.datasets.lvu import LVU
from vujax.evals.lvu.clip_embeddings import group_by_clip, read_clip_embeddings
from vujax.evals.lvu.compare import (
    constant_interval,
    paired_interval,
    score_interval,
    seed_interval,
)
from vujax.evals.lvu.score import TaskScore, evaluate

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
