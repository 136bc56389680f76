"""What MLflow is told of a sweep when it begins: tags to look it up by, code, and the data as a dataset."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from genotune.sweep_state import TrialState
from genotune.tracking import names


class DatasetFacts(NamedTuple):
    """The data of a sweep as MLflow's dataset input; source, schema and profile are JSON."""

    name: str
    digest: str
    source: str
    schema: str
    profile: str


def fact_tags(facts: Mapping[str, Any]) -> dict[str, str]:
    """What a sweep is looked up and compared by."""
    objective, group = facts["objective"], facts.get("group", {})
    further = objective.get("further", ())
    tags = {
        names.GROUP: group.get("id"),
        names.GROUP_MEMBER: group.get("member"),
        "genotune.version": facts["versions"].get("genotune"),
        "genotune.spec_sha256": facts["spec_sha256"],
        "genotune.git_commit": facts["git_commit"],
        "genotune.host": facts["host"],
        "genotune.python": facts["python"],
        "genotune.seed": facts["seed"],
        names.OBJECTIVE_METRIC: objective["metric"],
        names.OBJECTIVES: ", ".join((objective["metric"], *further)) if further else None,
        "genotune.direction": objective["direction"],
        "genotune.target": objective.get("kind"),
        names.OBJECTIVE_BIN_BP: objective["bin_bp"],
        "mlflow.source.type": "LOCAL",
        "mlflow.source.name": "genotune",
        "mlflow.source.git.commit": (facts["git_commit"] or "").partition("+")[0] or None,
    }
    return {name: names.value_text(value) for name, value in tags.items() if value is not None}


def budget_tags(limits: Mapping[str, Any]) -> dict[str, str]:
    """Each limit of a budget."""
    return {names.BUDGET + name: names.value_text(limit) for name, limit in limits.items() if limit is not None}


def code_artifacts(code: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """The text of each Python file by its name; of those that share one, each with the start of its hash."""
    n_called = Counter(Path(name).name for name in code)
    texts = {}
    for name, of in code.items():
        path = Path(name)
        own = path.name if n_called[path.name] == 1 else f"{path.stem}-{of['sha256'][:8]}{path.suffix}"
        texts[f"code/{own}"] = of["text"]
    return texts


def dataset(facts: Mapping[str, Any]) -> DatasetFacts:
    """The files and what is read of them; two sweeps on the same bytes, read the same way, share the digest."""
    data, files = facts["data"], facts["files"]
    read = {"data": data, "sha256": sorted((file["role"], file["name"], file["sha256"]) for file in files)}
    tracks, is_trait = data.get("tracks", []), "trait" in data
    features = [
        _tensor(data.get("dosage", "int8") if is_trait else "uint8", [-1], name="dosage" if is_trait else "sequence")
    ]
    several = [len(data["traits"])] if "traits" in data else []
    target = _tensor("float64", [-1, *several], name="phenotype") if is_trait else None
    targets = [target or _tensor("float32", [len(tracks), -1], name="signal")]
    return DatasetFacts(
        name=names.metric_key(f"{data['kind']} {data['trait'] if is_trait else ' '.join(tracks)}")[:500],
        digest=hashlib.sha256(json.dumps(read, sort_keys=True).encode()).hexdigest()[:16],
        source=json.dumps({"uri": files[0]["path"] if files else ""}),
        schema=json.dumps({"mlflow_tensorspec": {"features": json.dumps(features), "targets": json.dumps(targets)}}),
        profile=json.dumps({**data, "files": files}),
    )


def changing_numbers(trial: TrialState, changing: Iterable[str]) -> dict[str, float]:
    """Of the searched parameters that change while a trial runs, their numbers now.

    Of an option that is no number its place among the options, from 0.

    Args:
        trial: as it is now.
        changing: names of the domains; those that take no part in the trial are left out.
    """
    found = {}
    for name in changing:
        if name in trial.picks:
            value = trial.params.get(name)
            number = value if isinstance(value, int | float) and not isinstance(value, bool) else trial.picks[name]
            found[name] = float(number)
    return found


def _tensor(dtype: str, shape: list[int], *, name: str) -> Mapping[str, Any]:
    return {"name": name, "type": "tensor", "tensor-spec": {"dtype": dtype, "shape": shape}}
