"""Lazily imported implementations by name, extended by plug-ins of other packages.

    BACKENDS = Registry("search backend", {"exact": "vujax.search.backends.exact:Exact"},
                        entry_points="vujax.search_backends")
    BACKENDS.names()                  # ('exact', ...), without an import
    BACKENDS.load("exact")            # the class, imported now
    BACKENDS.build("exact", vectors)  # an instance; unknown options are named

Another package adds an entry in its metadata, `[project.entry-points."vujax.search_backends"]` with
a line `mine = "package.module:Class"`. A name of vujax itself cannot be taken over.
"""

import functools
import importlib
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from vujax.utils.validation import check_options


class PluginError(ImportError):
    """A plug-in that is installed but cannot be imported."""


class Registry:
    """Implementations of one kind by name; nothing is imported before it is asked for.

    Args:
      kind: singular noun phrase for messages, such as 'search backend'.
      builtin: `{name: 'module:attribute'}`, in the order in which help texts list them.
      entry_points: group of entry points that other packages extend it by; None: no plug-ins.
    """

    def __init__(
        self, kind: str, builtin: Mapping[str, str], *, entry_points: str | None = None
    ) -> None:
        self.kind = kind
        self.group = entry_points
        self._builtin = dict(builtin)

    def names(self) -> tuple[str, ...]:
        """Return all names: those of vujax first, then those of plug-ins, sorted."""
        return (*self._builtin, *sorted(self._plugins))

    def __contains__(self, name: object) -> bool:
        return name in self._builtin or name in self._plugins

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def check(self, name: object, where: str = "") -> str:
        """Return `name` if it is registered.

        Args:
          name: to look up.
          where: setting that names it, such as 'data.sources.main.kind', for the message.

        Raises:
          ValueError: it is not registered.
        """
        if name not in self:
            prefix = f"{where}: " if where else ""
            expected = ", ".join(self.names())
            raise ValueError(f"{prefix}unknown {self.kind} {name!r}; expected one of: {expected}")
        return str(name)

    def load(self, name: str, where: str = "") -> Any:
        """Import and return an implementation.

        Raises:
          ValueError: it is not registered.
          PluginError: it is a plug-in that cannot be imported.
        """
        self.check(name, where)
        if name in self._builtin:
            module, _, attribute = self._builtin[name].partition(":")
            return getattr(importlib.import_module(module), attribute)
        return self._load_plugin(self._plugins[name])

    def build(
        self, name: str, /, *args: Any, common: Iterable[str] = (), where: str = "", **options: Any
    ) -> Any:
        """Call an implementation with options.

        Args:
          name: of the implementation.
          *args: positional arguments that every implementation takes.
          common: other options that the caller understands, for the message.
          where: see `check`.
          **options: keyword arguments of the implementation.

        Raises:
          ValueError: the name or an option is unknown, or an option is missing.
          PluginError: it is a plug-in that cannot be imported.
        """
        make: Callable[..., Any] = self.load(name, where)
        bound = functools.partial(make, *args)
        check_options(f"{self.kind} '{name}'", bound, options, common)
        return bound(**options)

    def is_plugin(self, name: str) -> bool:
        """Return whether another package provides `name`."""
        return name not in self._builtin and name in self._plugins

    @functools.cached_property
    def _plugins(self) -> dict[str, EntryPoint]:
        """Entry points of other packages, read once a process."""
        found: dict[str, EntryPoint] = {}
        for point in entry_points(group=self.group) if self.group else ():
            if point.name in self._builtin or point.name in found:
                taken = "vujax" if point.name in self._builtin else _package(found[point.name])
                warnings.warn(
                    f"{self.kind} {point.name!r} of the package {_package(point)} is ignored: "
                    f"{taken} has one of that name",
                    stacklevel=2,
                )
                continue
            found[point.name] = point
        return found

    def _load_plugin(self, point: EntryPoint) -> Any:
        try:
            return point.load()
        except Exception as error:  # whatever a foreign module raises while it is imported
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise PluginError(
                f"{self.kind} {point.name!r} of the package {_package(point)} cannot be imported "
                f"({reason}); repair or uninstall that package"
            ) from error


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist else point.value.partition(":")[0]


def lazy_names(package: str, names: Mapping[str, str]) -> Callable[[str], Any]:
    """Return a package's `__getattr__` that imports public names when they are used (PEP 562).

    Args:
      package: dotted name of the package.
      names: `{name: 'module:attribute'}`.
    """

    def __getattr__(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module, _, attribute = names[name].partition(":")
        return getattr(importlib.import_module(module), attribute)

    return __getattr__
