"""The spec of a sweep as it was when the sweep began, in the sweep's folder, with the Python code that it names."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from genotune.errors import SweepError
from genotune.spec import Spec, read_spec

_SPEC_FILE: Final = "spec.yaml"
_CODE_FILE: Final = "code.json"


def keep_spec(folder: Path, text: str, code: Mapping[str, str]) -> None:
    """Write a spec, and the code that it names, into the folder of a sweep; `read_kept` gives them back."""
    (folder / _SPEC_FILE).write_text(text)
    (folder / _CODE_FILE).write_text(json.dumps(dict(code), indent=2) + "\n")


def read_kept(folder: Path) -> tuple[str, Mapping[str, str]]:
    """The spec in the folder of a sweep, and the code that it names, as they were when it began."""
    code_file = folder / _CODE_FILE
    return (folder / _SPEC_FILE).read_text(), json.loads(code_file.read_text()) if code_file.exists() else {}


def kept_files(folder: Path) -> dict[str, bytes]:
    """What `keep_spec` wrote into a folder, by name."""
    return {name: path.read_bytes() for name in (_SPEC_FILE, _CODE_FILE) if (path := folder / name).exists()}


def spec_of(folder: Path, facts: Mapping[str, Any], *, path: Path | None = None) -> Spec:
    """The spec that a sweep began with, with the code that it names.

    Args:
        folder: of the sweep.
        facts: that it began with.
        path: where its file lies now, beside its data; None: where it lay then.

    Raises:
        SweepError: the sweep was ended before it began.
    """
    if not facts:
        raise SweepError(f"{folder.name}: it was ended before it began; start it again with `genotune run`.")
    text, code = read_kept(folder)
    return read_spec(path or Path(facts["spec_path"]), text=text, code=code)
