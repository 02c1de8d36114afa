"""Catalog: a folder of Parquet and ArrayRecord files with the shots and keyframes of many films.

    catalog = Catalog("catalog/")
    catalog.films()                       # one row per film, with metadata, errors and reasons
    catalog.shots(film)                   # its shots with their times
    catalog.jpeg("my-film-1a2b3c4d/s0012/1")
    catalog.embeddings("shot", "lite")    # computed by `vujax embed`

    catalog.json                          version of the schema
    films.parquet/<film>.parquet          one row: headers, status of the reading, metadata
    shots.parquet/<film>.parquet          one row per shot
    keyframes.parquet/<film>.parquet      one row per keyframe: its time, and its record in
    keyframes/<film>.array_record         JPEG files
    audio.parquet/<film>.parquet          on request: one row per piece of sound, and its record in
    audio/<film>.array_record             FLAC files
    manifests/<film>.json                 settings, counts and sha256 of all these; written last
    scenes.parquet/<film>.parquet         one row per scene: see `vujax.catalog.scenes`
    vectors/<level>/<encoder>-<hash8>/<film>.parquet    see `vujax.catalog.embeddings`
    .staging/                             films in work; never read

A film is in the catalog if its manifest is: its parts are staged and renamed into place, the
manifest last.
"""

from vujax.catalog.ids import Id
from vujax.catalog.reader import Catalog

__all__ = ["Catalog", "Id"]
