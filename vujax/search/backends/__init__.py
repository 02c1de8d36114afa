"""Search backends by name: exact, faiss and lance, and those of other packages.

A backend of another package is an entry point of the group `vujax.search_backends` that names a
class with the methods of `vujax.search.backends.base.SearchBackend`.
"""

from typing import TYPE_CHECKING

from vujax.utils.registry import Registry

if TYPE_CHECKING:  # the names of backends are listed without numpy or JAX
    from vujax.search.backends.base import Report, SearchBackend
    from vujax.search.index import Index

__all__ = ["BACKENDS", "open_backend"]

BACKENDS = Registry(
    "search backend",
    {
        "exact": "vujax.search.backends.exact:Exact",
        "faiss": "vujax.search.backends.faiss:Faiss",
        "lance": "vujax.search.backends.lance:Lance",
    },
    entry_points="vujax.search_backends",
)


def open_backend(
    name: str, index: "Index", report: "Report" = lambda done, total: None
) -> "SearchBackend":
    """Open a backend over an index; what it builds is stored beside the index.

    Args:
      name: registered name.
      index: to search.
      report: called with how many embeddings are indexed, and of how many.

    Raises:
      ValueError: the name is unknown.
      ImportError: its package is missing; names the extra.
    """
    return BACKENDS.load(name).open(index.vectors, index.folder, report)
