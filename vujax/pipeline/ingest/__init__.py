"""Ingest: from film files to a catalog.

`run.ingest` finds the films and prepares a run of workers, local or on a Ray cluster.
`film.IngestStage` is the stage of one film: one pass, in memory that does not grow with the film.
"""
