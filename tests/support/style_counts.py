"""Counts of language, density and layout in pipeline/ and dags/: `python -m tests.support.style_counts`."""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

HOME = Path(__file__).resolve().parents[2]
WHAT_IS = re.compile(r"\bwhat\s+(?:is|was|it|the|a|has)\b", re.IGNORECASE)
TOLD = re.compile(r"\b(?:told|tells?|telling)\b", re.IGNORECASE)
WORD = re.compile(r"[A-Za-z][A-Za-z'-]*")
MAX_LINES = 300
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
# Modules without behaviour of their own: an entry point of one line, and names of types.
_WITHOUT_TESTS = {"__main__", "arrays"}


class Counts(NamedTuple):
    """The figures that tests/test_style.py limits. A place is "file:line"."""

    words: int  # of comments and docstrings
    what_is: list[str]  # places
    told: list[str]  # places
    lines: int  # without blank ones
    parallel_assignments: list[str]  # places
    nested_conditionals: list[str]  # places
    top_modules: list[str]  # beside the folders of pipeline/, without __init__
    long_files: list[str]
    untested: list[str]  # modules without a test module of their name

    @property
    def what_is_rate(self) -> float:
        """Return how often "what is" and the like occur per 1,000 words."""
        return 1000 * len(self.what_is) / self.words

    @property
    def told_rate(self) -> float:
        """Return how often forms of "tell" occur per 1,000 words."""
        return 1000 * len(self.told) / self.words

    @property
    def parallel_rate(self) -> float:
        """Return parallel assignments per 1,000 non-blank lines."""
        return 1000 * len(self.parallel_assignments) / self.lines


def counts(home: Path = HOME) -> Counts:
    """Return the counts of a checkout."""
    package = home / "pipeline"
    files = sorted([*package.rglob("*.py"), *(home / "dags").rglob("*.py")])
    sources = {str(path.relative_to(home)): path.read_text() for path in files}
    prose = [(name, *one) for name, source in sources.items() for one in sentences(source)]
    return Counts(
        words=sum(len(WORD.findall(text)) for _, _, text in prose),
        what_is=_matches(WHAT_IS, prose),
        told=_matches(TOLD, prose),
        lines=sum(bool(line.strip()) for source in sources.values() for line in source.splitlines()),
        parallel_assignments=_places(sources, parallel_assignments),
        nested_conditionals=_places(sources, nested_conditionals),
        top_modules=sorted(path.stem for path in package.glob("*.py") if path.stem != "__init__"),
        long_files=[name for name, source in sources.items() if len(source.splitlines()) > MAX_LINES],
        untested=[str(path.relative_to(home)) for path in sorted(package.rglob("*.py")) if not _is_tested(path, home)],
    )


def sentences(source: str) -> list[tuple[int, str]]:
    """Return line and text of each comment and docstring."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    comments = [(token.start[0], token.string.lstrip("#")) for token in tokens if token.type == tokenize.COMMENT]
    documented = [node for node in ast.walk(ast.parse(source)) if isinstance(node, _DOCUMENTED)]
    docstrings = [(node.body[0].lineno, text) for node in documented if (text := ast.get_docstring(node))]
    return comments + docstrings


def parallel_assignments(source: str) -> list[int]:
    """Return the lines of assignments with a tuple on both sides."""
    assignments = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Assign)]
    return [one.lineno for one in assignments if isinstance(one.value, ast.Tuple) and _assigns_a_tuple(one)]


def nested_conditionals(source: str) -> list[int]:
    """Return the lines of conditional expressions inside another one."""
    outer = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.IfExp)]
    inner = [child for node in outer for child in ast.walk(node) if child is not node]
    return sorted({node.lineno for node in inner if isinstance(node, ast.IfExp)})


def _assigns_a_tuple(assignment: ast.Assign) -> bool:
    return any(isinstance(target, ast.Tuple) for target in assignment.targets)


def _matches(pattern: re.Pattern[str], prose: Sequence[tuple[str, int, str]]) -> list[str]:
    return [f"{name}:{line}" for name, line, text in prose for _ in pattern.finditer(text)]


def _places(sources: dict[str, str], find: Callable[[str], list[int]]) -> list[str]:
    return [f"{name}:{line}" for name, source in sources.items() for line in find(source)]


def _is_tested(module: Path, home: Path) -> bool:
    """Return whether a module has its test module. A package of docstring only needs none."""
    relative = module.relative_to(home / "pipeline")
    if relative.stem in _WITHOUT_TESTS or relative == Path("__init__.py"):
        return True
    if relative.stem != "__init__":
        return (home / "tests" / relative.parent / f"test_{relative.stem}.py").exists()
    if len(ast.parse(module.read_text()).body) <= 1:
        return True
    return (home / "tests" / relative.parent / f"test_{relative.parent.name}.py").exists()


def report(found: Counts) -> Iterator[str]:
    """Yield the counts as lines for a reader."""
    yield f"what is ...:           {found.what_is_rate:.2f} per 1,000 words ({len(found.what_is)} of {found.words:,})"
    yield f"told, tell:            {found.told_rate:.2f} per 1,000 words ({len(found.told)})"
    yield (
        f"parallel assignments:  {found.parallel_rate:.2f} per 1,000 lines "
        f"({len(found.parallel_assignments)} of {found.lines:,})"
    )
    yield f"nested conditionals:   {len(found.nested_conditionals)}"
    yield f"modules in pipeline/:  {len(found.top_modules)} beside the folders"
    yield f"files over {MAX_LINES} lines:  {len(found.long_files)}"
    yield f"modules without tests: {len(found.untested)}"
    for name in ("what_is", "told", "parallel_assignments", "nested_conditionals", "long_files", "untested"):
        places = getattr(found, name)
        if places:
            yield f"\n{name}: {', '.join(places)}"


if __name__ == "__main__":
    sys.stdout.writelines(f"{line}\n" for line in report(counts()))
