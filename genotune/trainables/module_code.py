"""What a Python file says of a class in it, read and not run: whether it is there, and which arguments it takes."""

import ast
import difflib
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping
from importlib import metadata
from typing import Any, Final, NamedTuple

from genotune.errors import Problem

_NO_INIT: Final = ("nn.Module", "torch.nn.Module", "Module")
"""A class of which this is the only base, and that has no __init__, takes no arguments."""


class Arguments(NamedTuple):
    """What a class takes by name.

    Attributes:
        known: names.
        required: those without a default.
        takes_any: whether it takes names that it doesn't list (**kwargs).
    """

    known: tuple[str, ...]
    required: tuple[str, ...]
    takes_any: bool = False


class Imported(NamedTuple):
    """A package or a file that a file imports.

    Attributes:
        line: where.
        root: the first part of its name.
        is_relative: whether it is meant relative to the file (`from . import x`).
    """

    line: int
    root: str
    is_relative: bool


def parse(text: str, file: str) -> ast.Module:
    """The syntax tree of a file.

    Raises:
        SyntaxError: it isn't Python; with the line, where that is known.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the style of a file that isn't ours
        try:
            tree = ast.parse(text, file)
            # Finds what the grammar allows, as a return outside a function.
            compile(tree, file, "exec", dont_inherit=True)
        except ValueError as error:  # a zero byte
            raise SyntaxError(str(error)) from None
    return tree


def distributions_of(code: Mapping[str, str]) -> set[str]:
    """Names of the installed distributions that files import from; what Python itself brings is none of them."""
    brought = {one.root for file, text in code.items() for one in imports(text, file) if not one.is_relative}
    brought -= sys.stdlib_module_names
    known = metadata.packages_distributions() if brought else {}
    return {name for package in brought for name in known.get(package, ())}


def imports(text: str, file: str) -> list[Imported]:
    """What a file imports, wherever in it; nothing of a file that isn't Python."""
    try:
        tree = parse(text, file)
    except SyntaxError:
        return []
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [Imported(node.lineno, alias.name.partition(".")[0], False) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            name = node.module or node.names[0].name
            found.append(Imported(node.lineno, name.partition(".")[0], node.level > 0))
    return found


def class_problems(
    text: str, file: str, *, class_name: str, arguments: Mapping[str, Any], offered: Iterable[str]
) -> list[Problem]:
    """What is wrong with a file, the class in it, and the arguments for it, as far as reading tells.

    Args:
        text: of the file.
        file: its name, for messages.
        class_name: of the class.
        arguments: that are given, by name.
        offered: names of arguments that are given by others if the class has them.

    Returns:
        With paths below a mapping that holds `module` and `arguments`.
    """
    try:
        tree = parse(text, file)
    except SyntaxError as error:
        where = f"{file}:{error.lineno}" if error.lineno else file
        return [Problem(("module",), f"{where}: not Python: {error.msg}.")]
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    if class_name not in classes:
        return _absence(tree, file, class_name=class_name, classes=classes)
    taken = _arguments_of(classes[class_name], classes)
    return [] if taken is None else list(_argument_problems(class_name, taken, arguments, offered=tuple(offered)))


def _absence(tree: ast.Module, file: str, *, class_name: str, classes: Mapping[str, ast.ClassDef]) -> list[Problem]:
    """The problem that a class isn't there; none if the name may come about otherwise (an import, an assignment)."""
    bound = list(_bound_names(tree))
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    for node in functions:
        if node.name == class_name:
            message = f"{file}:{node.lineno}: {class_name} is a function; name a class that is a torch.nn.Module."
            return [Problem(("module",), message)]
    if class_name in bound or "*" in bound:
        return []
    near = difflib.get_close_matches(class_name, classes, n=1)
    advice = f"Did you mean {near[0]!r}?" if near else f"It has {', '.join(classes) or 'no class'}."
    return [Problem(("module",), f"{file} has no class {class_name!r}. {advice}")]


def _bound_names(tree: ast.Module) -> Iterator[str]:
    """Names that are imported, assigned or defined anywhere in a file; '*' for a star import."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from (alias.asname or alias.name for alias in node.names)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.ClassDef) and node not in tree.body:
            yield node.name


def _arguments_of(node: ast.ClassDef, classes: Mapping[str, ast.ClassDef]) -> Arguments | None:
    """What a class takes; None where reading can't tell: another's base class, a decorator, a metaclass."""
    seen = set()
    while node.name not in seen:
        seen.add(node.name)
        if node.decorator_list or node.keywords:
            return None
        methods = [one for one in node.body if isinstance(one, ast.FunctionDef) and one.name in ("__init__", "__new__")]
        if methods:
            return _of_init(methods[0]) if methods[0].name == "__init__" and len(methods) == 1 else None
        if len(node.bases) != 1:
            return None
        base = ast.unparse(node.bases[0])
        if base in classes:
            node = classes[base]
        else:
            return Arguments((), ()) if base in _NO_INIT else None
    return None


def _of_init(init: ast.FunctionDef) -> Arguments | None:
    if init.decorator_list:
        return None
    args = init.args
    positional = [argument.arg for argument in [*args.posonlyargs, *args.args]]
    required = positional[: len(positional) - len(args.defaults)][1:]
    required += [one.arg for one, default in zip(args.kwonlyargs, args.kw_defaults, strict=True) if default is None]
    by_name = [argument.arg for argument in [*args.args, *args.kwonlyargs]]
    known = [name for name in by_name if name != positional[0]] if positional else by_name
    return Arguments(tuple(known), tuple(required), takes_any=args.kwarg is not None)


def _argument_problems(
    class_name: str, taken: Arguments, arguments: Mapping[str, Any], *, offered: tuple[str, ...]
) -> Iterator[Problem]:
    for given in arguments:
        if given not in taken.known and not taken.takes_any:
            near = difflib.get_close_matches(given, taken.known, n=1)
            own = [name for name in taken.known if name not in offered]
            advice = f"Did you mean {near[0]!r}?" if near else f"It has {', '.join(own) or 'none'}."
            yield Problem(("arguments", given), f"{class_name} has no such argument. {advice}")
    lacking = [name for name in taken.required if name not in arguments and name not in offered]
    if lacking:
        message = f"{class_name} needs {', '.join(map(repr, lacking))} too, which has no default."
        if len(lacking) > 1:
            message = f"{class_name} needs {', '.join(map(repr, lacking))} too, which have no defaults."
        yield Problem(("arguments",), message)
