"""Film understanding with few labels, in JAX."""

__version__ = "0.1.0"


def scenes(paths, **options):
    """The scenes of films: `vujax.scenes("film.mp4")`; see `vujax.segment.run.segment`."""
    from vujax.segment.run import segment  # here: `import vujax` brings nothing else

    return segment(paths, **options)
