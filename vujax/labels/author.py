"""Who labels."""

import getpass


def author_of(given: str | None) -> str:
    """The name that is given, or that of the user."""
    try:
        return given or getpass.getuser()
    except (KeyError, OSError, ImportError):  # a user without a name, as in containers
        return "unknown"
