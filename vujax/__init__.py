"""Film understanding with few labels, in JAX."""

__version__ = "0.1.0"


def detect_scenes(paths, **options):
    """The scenes of films; see `vujax.scenes.detect.segment`."""
    from vujax.scenes.detect import segment  # here: `import vujax` brings nothing else

    return segment(paths, **options)
