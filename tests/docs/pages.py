"""The Markdown pages that people read, and their code blocks."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.configs import ROOT

PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
FENCED = re.compile(
    r"(?:^<!-- not run: (?P<reason>[^\n]+) -->\n)?"
    r"^(?P<indent> *)```(?P<language>\w*)(?P<attributes>[^\n]*)\n(?P<code>.*?)^(?P=indent)```$",
    re.DOTALL | re.MULTILINE,
)
TITLE = re.compile(r'title="([^"]+)"')
TYPED = re.compile(r"(?:[A-Z_]+=\S+ )*((?:vujax|python3?|pytest|pip|make|\.) .+)")

NOT_RUN = {
    "docs/results": "experiments of minutes to hours, some on data under a license",
    "docs/project": "the project's own tools, which its workflows run",
}
"""Folders whose blocks are only parsed, and the reason."""


@dataclass(frozen=True)
class Block:
    """A fenced block of code.

    Attributes:
      page: path of its page, relative to the repository.
      line: where its code starts.
      language: 'sh', 'python', 'toml', 'text' or ''.
      title: the file that it is, '' for code to run.
      code: its text.
      reason: why it is only parsed; '' for a block that runs.
    """

    page: str
    line: int
    language: str
    title: str
    code: str
    reason: str

    @property
    def commands(self) -> list[list[str]]:
        """Words of each command of a shell block."""
        lines = self.code.replace("\\\n", " ").splitlines()
        return [words for line in lines for words in split_commands(line)]


def split_commands(line: str) -> list[list[str]]:
    """Return the words of the commands of a line, which `&&` joins, without comments."""
    words = shlex.split(line, comments=True)
    commands: list[list[str]] = [[]]
    for word in words:
        if word == "&&":
            commands.append([])
        else:
            commands[-1].append(word)
    return [command for command in commands if command]


def read_blocks(path: Path) -> list[Block]:
    """Return the blocks of a page, in order."""
    text, page = path.read_text(), path.relative_to(ROOT).as_posix()
    folder_reason = next((why for name, why in NOT_RUN.items() if page.startswith(f"{name}/")), "")
    blocks = []
    for match in FENCED.finditer(text):
        title = TITLE.search(match["attributes"])
        indent = match["indent"]
        code = re.sub(rf"^{indent}", "", match["code"], flags=re.MULTILINE)
        blocks.append(
            Block(
                page=page,
                line=text.count("\n", 0, match.start("code")) + 1,
                language=match["language"],
                title=title[1] if title else "",
                code=code,
                reason=match["reason"] or folder_reason,
            )
        )
    return blocks


def prose_of(path: Path) -> str:
    """Return a page without its blocks."""
    return FENCED.sub("", path.read_text())


def mentioned_commands(path: Path) -> Iterator[list[str]]:
    """Yield the words of commands in inline code."""
    for text in re.findall(r"`([^`\n]+)`", prose_of(path)):
        if match := TYPED.fullmatch(text):
            yield shlex.split(match[1], comments=True)


BLOCKS = [block for path in PAGES for block in read_blocks(path)]
