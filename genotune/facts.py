"""What the record says of a sweep beside its trials: where it came from, with what, on which bytes."""

import hashlib
import platform
import socket
import subprocess
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml

from genotune.data.remote import masked
from genotune.errors import SweepError
from genotune.plan import SweepPlan
from genotune.prices import Prices, trial_hour_costs
from genotune.sweep_storage import root_of


def sweep_facts(
    plan: SweepPlan, sweep_id: str, *, prices: Prices | None = None, group: Mapping[str, str] | None = None
) -> Mapping[str, Any]:
    """Spec, versions, host, files and splits; read once, at the beginning of a sweep.

    Args:
        plan: of the sweep.
        sweep_id: its folder's name.
        prices: by which its trials cost; None: not known.
        group: of which it is a part: 'id' (that folder's name), 'name', and 'member', its own name there.

    Raises:
        SpecError: the prices don't fit the budget; see `trial_hour_costs`.
    """
    spec = plan.spec
    settings = spec.settings
    return {
        "sweep_id": sweep_id,
        **({} if group is None else {"group": dict(group)}),
        "spec_path": str(spec.path.resolve()),
        "storage": None if (storage := root_of(spec)) is None else masked(storage.url),
        "spec_text": masked(spec.text),
        "resolved_text": masked(yaml.safe_dump(spec.settings.resolved(), sort_keys=False)),
        "spec_sha256": spec.sha256,
        "code": {
            name: {"text": text, "sha256": hashlib.sha256(text.encode()).hexdigest()}
            for name, text in spec.code.items()
        },
        "versions": _versions(),
        "git_commit": _git_commit(spec.folder),
        "host": socket.gethostname(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "seed": settings.search.seed,
        "changing": {family: list(names) for family, names in spec.changing.items()},
        "budget": settings.budget.model_dump(mode="json"),
        "prices": None if prices is None else prices.model_dump(mode="json"),
        "trial_hour_cost": trial_hour_costs(plan, prices),
        "files": [{**file, "name": Path(file["path"]).name} for file in plan.data.fingerprints()],
        "data": plan.data.record(plan.fold),
        "objective": {**plan.judge._asdict(), "direction": plan.judge.direction},
    }


def check_same_files(plan: SweepPlan, facts: Mapping[str, Any]) -> None:
    """Nothing, if the data are what the sweep began with.

    Raises:
        SweepError: a file's bytes are others now.
    """
    check_files_alike(plan.data.fingerprints(), facts)


def check_files_alike(files: Sequence[Mapping[str, Any]], facts: Mapping[str, Any]) -> None:
    """As `check_same_files`, of files that are read already."""
    before = {file["path"]: file["sha256"] for file in facts["files"]}
    changed = [file["path"] for file in files if before.get(file["path"]) != file["sha256"]]
    if changed:
        message = f"{', '.join(changed)}: changed since the sweep began; its trials saw other data. Start a new sweep."
        raise SweepError(message)


def _versions() -> dict[str, str]:
    """Of every installed package."""
    return {one.name: one.version for one in sorted(metadata.distributions(), key=lambda one: str(one.name).lower())}


def _git_commit(folder: Path) -> str | None:
    """The commit that the spec's folder is at, '+changes' added where it is not clean; None outside a repository."""
    try:
        commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=folder, capture_output=True, text=True, check=True)
        status = subprocess.run(
            ["git", "status", "--porcelain"], cwd=folder, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return commit.stdout.strip() + ("+changes" if status.stdout.strip() else "")
