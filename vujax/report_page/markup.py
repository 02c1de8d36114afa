"""HTML and SVG elements in which text cannot turn into markup.

A child or attribute that is a plain string is escaped; only what `tag` itself made (`Markup`)
passes as it is. So a caption with a script in it is shown, never run.
"""

from collections.abc import Iterable
from html import escape
from typing import Union

VOID = frozenset({"img", "meta", "br"})


class Markup(str):
    """Finished markup. Make it with `tag`; wrap a string only if you wrote all of it yourself."""

    __slots__ = ()


Child = Union[str, None, Iterable["Child"]]  # noqa: UP007 (a string in `|` needs Python 3.14)


def tag(name: str, /, *children: Child, **attributes: str | int | float | bool | None) -> Markup:
    """An element.

    Args:
      name: of the element.
      *children: strings (escaped unless Markup), or nested iterables of them; None is left out.
      **attributes: a trailing underscore is dropped (`class_`), others become hyphens
        (`aria_label`); True gives a bare attribute, None and False none.
    """
    parts = [name]
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        key = key.removesuffix("_").replace("_", "-")
        parts.append(key if value is True else f'{key}="{escape(str(value))}"')
    opening = f"<{' '.join(parts)}>"
    return Markup(opening if name in VOID else f"{opening}{join(children)}</{name}>")


def join(children: Iterable[Child]) -> Markup:
    """Children one after the other, escaped unless they are Markup."""
    return Markup("".join(map(_text, children)))


def _text(child: Child) -> str:
    if child is None:
        return ""
    if isinstance(child, Markup):
        return child
    return escape(child) if isinstance(child, str) else join(child)
