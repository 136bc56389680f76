"""The Python files that a search-space file names: their text, read once, and what is wrong with them."""

import tokenize
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from genotune.errors import Problem
from genotune.trainables.module_code import imports
from genotune.trainables.trainable import Trainable


class CodeFiles(NamedTuple):
    """What was found of the files that families name.

    Attributes:
        texts: of each file, by the path that names it.
        faults: of files that can't be used, by the path that names them.
    """

    texts: Mapping[str, str]
    faults: Mapping[str, str]


def read_code(trainables: Iterable[Trainable[Any, Any]], folder: Path) -> CodeFiles:
    """The text of each file that a family names.

    Args:
        trainables: at the ends of their ranges.
        folder: of the spec, to which paths are relative.
    """
    texts: dict[str, str] = {}
    faults: dict[str, str] = {}
    for name in {name: None for one in trainables for name in one.code_files()}:
        path = folder / Path(name).expanduser()
        try:
            with tokenize.open(path) as file:
                texts[name] = file.read()
        except FileNotFoundError:
            faults[name] = f"{name}: no such file (looked for {path}). Paths are relative to the spec's folder."
        except OSError as error:
            faults[name] = f"{name}: can't be read: {error.strerror}."
        except (SyntaxError, UnicodeDecodeError):
            faults[name] = f"{name}: not text in UTF-8, nor in an encoding that its first line names."
        else:
            fault = _import_fault(texts[name], name, path.parent)
            if fault is not None:
                faults[name] = fault
    return CodeFiles(texts, faults)


def code_problems(trainable: Trainable[Any, Any], files: CodeFiles) -> list[Problem]:
    """What is wrong with the files that a family names, with paths relative to its params."""
    faults = [
        Problem(path, files.faults[name]) for name, path in trainable.code_files().items() if name in files.faults
    ]
    return faults or trainable.code_problems(files.texts)


def _import_fault(text: str, name: str, folder: Path) -> str | None:
    """Why the file can't be run elsewhere: it imports a file that lies beside it; None if it can."""
    for line, root, is_relative in imports(text, name):
        if is_relative or (folder / f"{root}.py").is_file() or (folder / root / "__init__.py").is_file():
            return (
                f"{name}:{line}: imports {root!r} from beside it. Only {Path(name).name} itself goes with the trials "
                "and the model: put that code into it, or into a package that is installed wherever a trial runs."
            )
    return None
