"""Movies and who rated them, as columns."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np


@dataclass(frozen=True, eq=False)
class Ratings:
    """Who watched what: one entry a rating.

    Attributes:
      user: int32 `[r]`, a number of the user.
      movie: int32 `[r]`, place of the movie among the movies.
      value: float32 `[r]`; NaN: watched, and not rated.
    """

    user: np.ndarray
    movie: np.ndarray
    value: np.ndarray

    def __len__(self) -> int:
        return len(self.user)

    def remap(self, places: np.ndarray) -> "Ratings":
        """The ratings of movie i as those of movie `places[i]`, left out where that is -1."""
        movie = places[self.movie]
        kept = movie >= 0
        return Ratings(self.user[kept], movie[kept].astype(np.int32), self.value[kept])


@dataclass(frozen=True, eq=False)
class Movies:
    """Movies and what is known of them; each column has one entry a movie.

    Attributes:
      ids: IMDb ids ('tt0000001'), a catalogue's ids of films, or the user's own; each one once.
      titles: as people read them, mostly with the year.
      genres: none where they are not known.
      synopses: '' where there is none.
      ratings: who watched what.
      lists: more-like-this lists, best first, by the id of the movie that they belong to.
      skipped: how many entries a reader left out, by reason.
    """

    ids: tuple[str, ...]
    titles: tuple[str, ...]
    genres: tuple[frozenset[str], ...]
    synopses: tuple[str, ...]
    ratings: Ratings | None = None
    lists: Mapping[str, Sequence[str]] | None = None
    skipped: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raises unless the columns fit.

        Raises:
          ValueError: they differ in length, an id is there twice, or a rating is of no movie.
        """
        columns = (self.ids, self.titles, self.genres, self.synopses)
        if len({len(column) for column in columns}) > 1:
            raise ValueError(f"columns of movies have {[len(c) for c in columns]} entries")
        if len(set(self.ids)) < len(self.ids):
            raise ValueError(f"the movie {find_duplicate(self.ids)!r} is there twice")
        if self.ratings is not None and len(self.ratings):
            low, high = self.ratings.movie.min(), self.ratings.movie.max()
            if low < 0 or high >= len(self.ids):
                raise ValueError(f"ratings are of the movies {low}..{high} of {len(self.ids)}")

    def __len__(self) -> int:
        return len(self.ids)

    def positions(self) -> dict[str, int]:
        """The place of each id."""
        return {movie: place for place, movie in enumerate(self.ids)}

    def select(self, ids: Collection[str]) -> "Movies":
        """Those of these ids, in the order that they have here, with nothing of any other."""
        wanted = set(ids)
        kept = [place for place, movie in enumerate(self.ids) if movie in wanted]
        there = {self.ids[place] for place in kept}
        lists = self.lists and {
            movie: [other for other in found if other in there]
            for movie, found in self.lists.items()
            if movie in there
        }
        new = np.full(len(self), -1, np.int32)
        new[kept] = np.arange(len(kept))
        return Movies(
            tuple(self.ids[place] for place in kept),
            tuple(self.titles[place] for place in kept),
            tuple(self.genres[place] for place in kept),
            tuple(self.synopses[place] for place in kept),
            self.ratings and self.ratings.remap(new),
            lists,
            self.skipped,
        )

    def exclude(self, ids: Collection[str]) -> "Movies":
        """All but those of these ids, with nothing of those."""
        return self.select(set(self.ids) - set(ids))

    def with_ratings_of(self, other: "Movies") -> "Movies":
        """With the ratings of other movies, joined by id.

        Raises:
          ValueError: those have no ratings, or none is of a movie that is here.
        """
        if other.ratings is None:
            raise ValueError("the movies whose ratings are wanted have none")
        places = self.positions()
        new = np.array([places.get(movie, -1) for movie in other.ids], np.int32)
        ratings = other.ratings.remap(new)
        if not len(ratings):
            raise ValueError(
                f"no rating is of a movie that is here: ids here are like {self.ids[:1]}, those "
                f"of the ratings like {other.ids[:1]}"
            )
        left = {"ratings of movies that are not here": len(other.ratings) - len(ratings)}
        return replace(self, ratings=ratings, skipped={**self.skipped, **_counted(left)})


def _counted(counts: Mapping[str, int]) -> dict[str, int]:
    return {reason: count for reason, count in counts.items() if count}


def find_duplicate(ids: Sequence[str]) -> str | None:
    """The first id that has been there before; None: there is none."""
    seen: set[str] = set()
    for movie in ids:
        if movie in seen:
            return movie
        seen.add(movie)
    return None
