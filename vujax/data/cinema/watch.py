"""Who watches what: users drawn from latent tastes.

A user has two favourite genres and likes nights or days; a film has a genre, its share of nights
(which no label tells) and some popularity. Whether a user watches a film is one draw of its own, so
a larger set only adds to a smaller one.
"""

from dataclasses import dataclass
from math import exp

from vujax.data.cinema.dice import Dice
from vujax.data.cinema.world import GENRES

# Weights of the log-odds that a user watches a film.
BASE, FAVOURITE, NIGHTS, POPULARITY = -1.9, 2.2, 1.4, 0.7


@dataclass(frozen=True)
class Taste:
    """What a user likes; `nights` is -1 (days only) to 1 (nights only)."""

    key: tuple[str | int, ...]
    favourites: tuple[str, ...]
    nights: float


def make_taste(seed: int, split: str, user: int) -> Taste:
    """The taste of one user of a set."""
    key = ("user", seed, split, user)
    dice = Dice(*key)
    favourites = dice.sample([genre.name for genre in GENRES], 2)
    return Taste(key, tuple(favourites), dice.uniform(-1, 1))


def watches(taste: Taste, film: int, genre: str, night: float) -> bool:
    """Whether the user watches film number `film` of the set."""
    _, seed, split, _ = taste.key
    popular = POPULARITY * Dice("popularity", seed, split, film).uniform(-1, 1)
    liked = FAVOURITE * (genre in taste.favourites) + NIGHTS * taste.nights * (2 * night - 1)
    odds = BASE + popular + liked
    return Dice(*taste.key, "watches", film).chance(1 / (1 + exp(-odds)))
