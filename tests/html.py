"""Pages, as tests read them."""

from html.parser import HTMLParser


class Elements(HTMLParser):
    """The elements of a page, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def of(self, name: str, class_: str = "") -> list[dict]:
        """Attributes of all elements of a name, and of a class."""
        found = [a for tag, a in self.tags if tag == name]
        return [a for a in found if not class_ or class_ in a.get("class", "").split()]
