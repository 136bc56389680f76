"""Where sweeps leave what they leave, and how to find one again."""

import json
import os
from pathlib import Path
from typing import Final

from genotune.errors import SweepError
from genotune.events import JOURNAL_FILE
from genotune.spec import Spec

GROUP_FILE: Final = "group.json"
"""In the folder of a group of sweeps: its members."""


def workspace_of(spec: Spec | None, option: Path | None) -> Path:
    """Where sweeps leave what they leave: the option, GENOTUNE_WORKSPACE, the spec's word, or .genotune here."""
    if option is not None:
        return option.resolve()
    if os.environ.get("GENOTUNE_WORKSPACE"):
        return Path(os.environ["GENOTUNE_WORKSPACE"]).resolve()
    if spec is not None and spec.settings.workspace:
        return (spec.folder / spec.settings.workspace).resolve()
    return Path(".genotune").resolve()


def find_sweep(sweep: str, workspace: Path) -> Path:
    """The folder of a sweep, or of a group of sweeps.

    Raises:
        SweepError: none or several fit.
    """
    for folder in (Path(sweep), workspace / "sweeps" / sweep):
        if _is_sweep(folder):
            return folder.resolve()
    everything = sorted(filter(_is_sweep, (workspace / "sweeps").glob("*")))
    found = [path for path in everything if path.name.startswith(sweep)]
    if len(found) == 1:
        return found[0]
    there = found or everything
    names = ", ".join(path.name for path in there[-5:]) or "none"
    problem = "several sweeps begin so" if found else "no such sweep"
    raise SweepError(f"{sweep}: {problem} in {workspace}. There: {names}. Another workspace is named with --workspace.")


def sweep_folders(folder: Path) -> list[Path]:
    """The folders of the sweeps that are meant: the sweep's own, or those of a group's members that have begun."""
    if not (folder / GROUP_FILE).exists():
        return [folder]
    members = json.loads((folder / GROUP_FILE).read_text())["members"].values()
    return [path for name in members if ((path := folder.parent / name) / JOURNAL_FILE).exists()]


def _is_sweep(folder: Path) -> bool:
    return (folder / JOURNAL_FILE).exists() or (folder / GROUP_FILE).exists()
