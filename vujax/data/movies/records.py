"""Columns of movies and of their ratings."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np


@dataclass(frozen=True, eq=False)
class Ratings:
    """Ratings of movies by users.

    Attributes:
      user: int32 `[r]`, number of the user.
      movie: int32 `[r]`, number of the movie.
      value: float32 `[r]`; NaN: watched, but not rated.
    """

    user: np.ndarray
    movie: np.ndarray
    value: np.ndarray

    def __len__(self) -> int:
        return len(self.user)

    def remap(self, numbers: np.ndarray) -> "Ratings":
        """Renumber movie i as `numbers[i]`, and leave out its ratings where that is -1."""
        movie = numbers[self.movie]
        mask = movie >= 0
        return Ratings(self.user[mask], movie[mask].astype(np.int32), self.value[mask])


@dataclass(frozen=True, eq=False)
class Movies:
    """Metadata of movies; each column has one entry per movie.

    Attributes:
      ids: IMDb ids ('tt0000001'), film ids of a catalog, or the user's own; unique.
      titles: titles for display, mostly with the year.
      genres: sets of genres, empty if unknown.
      synopses: synopses, '' if unknown.
      ratings: ratings; None: unknown.
      lists: more-like-this lists, best first, by the id of their movie.
      skipped: number of entries that a reader left out, by reason.
    """

    ids: tuple[str, ...]
    titles: tuple[str, ...]
    genres: tuple[frozenset[str], ...]
    synopses: tuple[str, ...]
    ratings: Ratings | None = None
    lists: Mapping[str, Sequence[str]] | None = None
    skipped: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the columns.

        Raises:
          ValueError: they differ in length, an id is repeated, or a rating is of an unknown movie.
        """
        columns = (self.ids, self.titles, self.genres, self.synopses)
        if len({len(column) for column in columns}) > 1:
            raise ValueError(f"columns of movies have {[len(c) for c in columns]} entries")
        if len(set(self.ids)) < len(self.ids):
            raise ValueError(f"duplicate movie {find_duplicate(self.ids)!r}")
        if self.ratings is not None and len(self.ratings):
            low, high = self.ratings.movie.min(), self.ratings.movie.max()
            if low < 0 or high >= len(self.ids):
                raise ValueError(f"ratings are of the movies {low}..{high} of {len(self.ids)}")

    def __len__(self) -> int:
        return len(self.ids)

    def positions(self) -> dict[str, int]:
        """Return the number of each id."""
        return {movie: number for number, movie in enumerate(self.ids)}

    def select(self, ids: Collection[str]) -> "Movies":
        """Return the movies with these ids, in the order of this table, and no trace of others."""
        wanted = set(ids)
        kept = [number for number, movie in enumerate(self.ids) if movie in wanted]
        kept_ids = {self.ids[number] for number in kept}
        lists = self.lists and {
            movie: [other for other in similar if other in kept_ids]
            for movie, similar in self.lists.items()
            if movie in kept_ids
        }
        new = np.full(len(self), -1, np.int32)
        new[kept] = np.arange(len(kept))
        return Movies(
            tuple(self.ids[number] for number in kept),
            tuple(self.titles[number] for number in kept),
            tuple(self.genres[number] for number in kept),
            tuple(self.synopses[number] for number in kept),
            ratings=self.ratings and self.ratings.remap(new),
            lists=lists,
            skipped=self.skipped,
        )

    def exclude(self, ids: Collection[str]) -> "Movies":
        """Return the movies without these ids, and without any trace of those."""
        return self.select(set(self.ids) - set(ids))

    def with_ratings_of(self, other: "Movies") -> "Movies":
        """Return these movies with the ratings of another table, joined by id.

        Raises:
          ValueError: the other table has no ratings, or none of these movies.
        """
        if other.ratings is None:
            raise ValueError("the table to join has no ratings")
        positions = self.positions()
        new = np.array([positions.get(movie, -1) for movie in other.ids], np.int32)
        ratings = other.ratings.remap(new)
        if not len(ratings):
            raise ValueError(
                f"no rating is of these movies: ids here are like {self.ids[:1]}, those "
                f"of the ratings like {other.ids[:1]}"
            )
        left = {"ratings of movies that are not here": len(other.ratings) - len(ratings)}
        return replace(self, ratings=ratings, skipped={**self.skipped, **_counted(left)})


def _counted(counts: Mapping[str, int]) -> dict[str, int]:
    return {reason: count for reason, count in counts.items() if count}


def find_duplicate(ids: Sequence[str]) -> str | None:
    """Return the first id that occurs twice, or None."""
    seen: set[str] = set()
    for movie in ids:
        if movie in seen:
            return movie
        seen.add(movie)
    return None
