"""Where the code is larger than our own rules allow, CONTRIBUTING names it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.conftest import ROOT

FOLDERS = ("detector", "notebooks", "tests")
_BLOCKS = ast.If | ast.For | ast.While | ast.With | ast.Try | ast.Match
_Function = ast.FunctionDef | ast.AsyncFunctionDef


def test_what_breaks_the_rules_of_size_is_named() -> None:
    """Split it, or add its name to the end of CONTRIBUTING with a reason; drop what is mended."""
    section = (ROOT / "CONTRIBUTING.md").read_text("utf-8").split("## Where we currently")[1]
    named = {line.split("`")[1] for line in section.splitlines() if line.startswith("- `")}

    assert named == set(broken())


def broken() -> Iterator[str]:
    """Modules over 400 lines; functions over 50 lines, 3 levels or 5 parameters."""
    for path in (path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")):
        text, name = path.read_text("utf-8"), path.relative_to(ROOT).as_posix()
        if text.count("\n") > 400:
            yield name
        functions = (node for node in ast.walk(ast.parse(text)) if isinstance(node, _Function))
        yield from (f"{name}: {node.name}" for node in functions if is_too_large(node, path))


def is_too_large(function: _Function, path: Path) -> bool:
    """Kernels take arrays one by one, commands one argument an option: both may have many."""
    n_lines = (function.end_lineno or 0) - function.lineno + 1
    decorated = {ast.unparse(node).split("(")[0] for node in function.decorator_list}
    may_have_many = decorated & {"kernel", "part", "aside", "cli.command"} or path.is_relative_to(
        ROOT / "tests"
    )
    return n_lines > 50 or depth(function) > 3 or (n_parameters(function) > 5 and not may_have_many)


def n_parameters(function: _Function) -> int:
    """Count parameters without self and cls."""
    arguments = function.args
    names = [a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
    return len([name for name in names if name not in {"self", "cls"}])


def depth(node: ast.AST) -> int:
    """Count the blocks inside each other; an elif is no deeper than its if."""
    deepest = 0
    for child in ast.iter_child_nodes(node):
        if isinstance(child, _Function | ast.ClassDef):
            continue
        is_elif = isinstance(node, ast.If) and isinstance(child, ast.If) and child in node.orelse
        deepest = max(deepest, depth(child) + (isinstance(child, _BLOCKS) and not is_elif))
    return deepest
