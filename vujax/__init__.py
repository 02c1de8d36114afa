"""Film understanding with few labels, in JAX."""

__version__ = "0.1.0"


def detect_scenes(paths, **options):
    """The scenes of films; see `vujax.scenes.detect.detect_scenes`."""
    from vujax.scenes.detect import detect_scenes  # here: `import vujax` brings nothing else

    return detect_scenes(paths, **options)
