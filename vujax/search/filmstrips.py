"""Filmstrips of search results: evenly spaced keyframes of a frame, shot or scene."""

from vujax.catalog import Catalog
from vujax.catalog.page import build_thumbnail_uri, group_keyframe_records
from vujax.catalog.records import RecordReader
from vujax.data.images import sample_evenly
from vujax.utils.html.document import Markup, tag

MAX_THUMBNAILS = 1500  # per page, of 4 KB each
MAX_IN_STRIP = {"frame": 1, "shot": 3, "scene": 10}
SIZES = {"frame": (320, 320), "shot": (200, 200), "scene": (200, 200)}


class Filmstrips:
    """Builder of filmstrips that opens the keyframes of each film once.

    Attributes:
      problems: sentences about films whose keyframes cannot be shown.
    """

    def __init__(self, catalog: Catalog, level: str, num_strips: int) -> None:
        """Prepare the strips of a page.

        Args:
          catalog: catalog of the items.
          level: 'frame', 'shot' or 'scene'.
          num_strips: number of strips; many strips have fewer thumbnails each.
        """
        self._catalog, self._level, self._size = catalog, level, SIZES[level]
        share = MAX_THUMBNAILS // max(num_strips, 1)
        self._limit = max(1, min(share, MAX_IN_STRIP[level]))
        self._films: dict[str, _Keyframes | None] = {}
        self.problems: list[str] = []

    def build(self, film: str, id: str, first_shot: int, last_shot: int) -> list[Markup]:
        """Build the list items of one strip; none if the keyframes cannot be read.

        Args:
          film: catalog id of the film.
          id: catalog id of the frame, shot or scene.
          first_shot: index of its first shot.
          last_shot: index of its last shot, inclusive.
        """
        keyframes = self._open(film)
        if keyframes is None:
            return []
        records = keyframes.records(self._level, id, first_shot, last_shot)
        if not records:
            return []
        chosen = sample_evenly(len(records), min(self._limit, len(records)))
        try:
            uris = [build_thumbnail_uri(keyframes.reader[records[i]], self._size) for i in chosen]
        except (OSError, ValueError, IndexError) as error:  # a damaged image
            self._fail(film, str(error))
            return []
        return [tag("li", tag("img", src=uri, alt=id, loading="lazy")) for uri in uris]

    def _open(self, film: str) -> "_Keyframes | None":
        if film not in self._films:
            try:
                self._films[film] = _Keyframes(self._catalog, film)
            except (KeyError, OSError, ValueError) as error:
                self._fail(film, str(error.args[0] if isinstance(error, KeyError) else error))
        return self._films[film]

    def _fail(self, film: str, reason: str) -> None:
        self._films[film] = None
        self.problems.append(f"Keyframes of {film} cannot be shown: {reason}.")


class _Keyframes:
    """Keyframes of one film."""

    def __init__(self, catalog: Catalog, film: str) -> None:
        keyframes = catalog.keyframes(film)
        ids, records = keyframes["id"].to_pylist(), keyframes["record"].to_pylist()
        self._by_id = dict(zip(ids, records, strict=True))
        self._by_shot = group_keyframe_records(keyframes)
        self.reader: RecordReader = catalog.jpegs(film)

    def records(self, level: str, id: str, first_shot: int, last_shot: int) -> list[int]:
        """Return the records of a frame, of a shot's keyframes, or of a scene's middle ones."""
        if level == "frame":
            return [self._by_id[id]] if id in self._by_id else []
        if level == "shot":
            return self._by_shot.get(first_shot, [])
        shots = range(first_shot, last_shot + 1)
        keyframes = [self._by_shot[shot] for shot in shots if shot in self._by_shot]
        return [records[len(records) // 2] for records in keyframes]
