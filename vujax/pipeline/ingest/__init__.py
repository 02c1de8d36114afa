"""Ingest: from films to the catalogue, one film or ten thousand.

`film.Ingest` is the stage: a film in, its parts in the catalogue out, in one pass and in memory
that does not grow with the film. `run.ingest` finds the films and lets a pool of workers do it, on
this machine (`local`) or a Ray cluster (`on_ray`).
"""
