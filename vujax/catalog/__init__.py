"""The catalogue: what is known of many films, in a folder of Parquet and ArrayRecord files.

    catalog = Catalog("catalog/")
    catalog.films()                       # one row a film, with metadata, errors and reasons
    catalog.shots(film)                   # its shots with their times
    catalog.jpeg("my-film-1a2b3c4d/s0012/1")
    catalog.embeddings("shot", "lite")       # made by `vujax embed`

    catalog.json                          the schema's version
    films.parquet/<film>.parquet          one row: what the file is, how reading it went, metadata
    shots.parquet/<film>.parquet          one row a shot
    keyframes.parquet/<film>.parquet      one row a keyframe: its time, and its record in
    keyframes/<film>.array_record         JPEG files
    audio.parquet/<film>.parquet          on request: one row a piece of sound, and its record in
    audio/<film>.array_record             FLAC files
    manifests/<film>.json                 settings, counts and sha256 of all these; written last
    scenes.parquet/<film>.parquet         one row a scene: see `vujax.catalog.scenes`
    vectors/<level>/<encoder>-<hash8>/<film>.parquet    see `vujax.catalog.embeddings`
    .staging/                             films that are being made; nobody reads it

A film is in the catalogue when its manifest is: each of its parts is made elsewhere and renamed
into place, the manifest last.
"""

from vujax.catalog.ids import Id
from vujax.catalog.reader import Catalog

__all__ = ["Catalog", "Id"]
