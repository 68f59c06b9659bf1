"""Commands, links and code of the Markdown files that a user reads."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

CHECKOUT = Path(__file__).resolve().parents[2]
PAGES = (*(CHECKOUT / name for name in ("README.md", "CONTRIBUTING.md")), *sorted((CHECKOUT / "docs").glob("*.md")))
# An inline code that begins with one of these is a command. The lines of an indented block always are.
PROGRAMS = (
    "closecast", "make", "python", "docker", "helm", "kubectl", "git", "curl", "export", "mlflow", "airflow", "sudo",
    "apt-get", "eval", "source", "cp", "mv", "rm", "tar", "xcode-select",
)  # fmt: skip
_FENCE = re.compile(r"(```+|~~~+)(\w*)")
_INLINE = re.compile(r"(?<!`)`([^`]+)`(?!`)")
_ASSIGNMENTS = re.compile(r"(?:[A-Z_]+=\S* )+")


class Line(NamedTuple):
    """A line of a page."""

    page: Path
    number: int
    text: str

    @property
    def place(self) -> str:
        """Return file and line, as editors open them."""
        return f"{self.page.relative_to(CHECKOUT)}:{self.number}"


class Parts(NamedTuple):
    """The lines of a page, by their kind."""

    prose: list[Line]
    commands: list[Line]  # of indented blocks and of fences without a language, comments and all
    code: dict[str, list[Line]]  # of fences with a language


class Command(NamedTuple):
    """A command, as a user types it, without its comment and without the folder of the program."""

    place: str
    text: str


class Link(NamedTuple):
    """A link to a file of the checkout, or to a heading."""

    place: str
    page: Path
    file: str  # "" for a heading of the same page
    anchor: str  # "" for a whole file


def parts(page: Path) -> Parts:
    """Return the lines of a page. A block after a list or a paragraph needs a blank line before it, as in Markdown."""
    found = Parts([], [], {})
    language: str | None = None
    block = False
    blank = True
    for number, text in enumerate(page.read_text().splitlines(), 1):
        line = Line(page, number, text)
        if fence := _FENCE.match(text):
            language = fence[2] or "commands" if language is None else None
        elif language == "commands":
            found.commands.append(line)
        elif language is not None:
            found.code.setdefault(language, []).append(line)
        elif text.startswith("    ") and (blank or block):
            block = True
            found.commands.append(line)
        elif text.strip():
            block = False
            found.prose.append(line)
        blank = not text.strip()
    return found


def commands(page: Path) -> Iterator[Command]:
    """Return all commands of a page, in the order of blocks, then of the text."""
    found = parts(page)
    lines = iter(found.commands)
    for line in lines:
        text = line.text.strip()
        while text.endswith("\\"):
            text = f"{text[:-1].strip()} {next(lines).text.strip()}"
        if plain := normalised(text):
            yield Command(line.place, plain)
    for line in found.prose:
        for code in _INLINE.findall(line.text):
            plain = normalised(code)
            program = _ASSIGNMENTS.sub("", plain).split(" ")[0]
            if " " in plain and program in PROGRAMS:
                yield Command(line.place, plain)


def normalised(text: str) -> str:
    """Return a command without its comment, and without `.venv/bin/`."""
    return re.sub(r"(^|\s+)#.*", "", text).replace(".venv/bin/", "").strip()


def links(page: Path) -> Iterator[Link]:
    """Return all links and pictures of a page, except those to the web."""
    for line in parts(page).prose:
        for target in re.findall(r"\]\(([^)\s]+)\)", line.text):
            if not re.match(r"[a-z]+:", target):
                file, _, anchor = target.partition("#")
                yield Link(line.place, page, file, anchor)


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = [line.text.lstrip("#").strip() for line in parts(page).prose if re.match(r"#{1,6} ", line.text)]
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def code_blocks(language: str) -> list[Command]:
    """Return the fenced blocks of a language, of all pages."""
    found = []
    for page in PAGES:
        lines = parts(page).code.get(language, [])
        for at, line in enumerate(lines):
            if at and line.number == lines[at - 1].number + 1:
                found[-1] = found[-1]._replace(text=f"{found[-1].text}\n{line.text}")
            else:
                found.append(Command(line.place, line.text))
    return found
