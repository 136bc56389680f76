"""Imports run one way, and heavy libraries come in late (design: the house)."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "genotune"

# Lower may not import higher. A name is a module or a package of genotune.
LAYERS = [
    {"store", "genome", "columns", "calibration", "metrics", "money", "scoring", "settings", "errors", "full_disk"},
    {"data", "trainables", "tuning"},
    {
        "shared_store",
        "trial",
        "trial_folds",
        "trial_workers",
        "worker_group",
        "judging",
        "checkpoints",
        "events",
        "front",
        "journal",
        "journal_copy",
        "sweep_state",
        "tracking",
        "spec",
        "stop_requests",
        "storage",
        "trial_log",
    },
    {
        "cluster_documents",
        "cluster_file",
        "controller",
        "extension",
        "failing",
        "generations",
        "going_on",
        "driver_log",
        "kept_spec",
        "kuberay_file",
        "launcher_file",
        "limits",
        "machines",
        "node_types",
        "plan",
        "prices",
        "profiles",
        "versions",
        "packing",
        "cluster_jobs",
        "quantities",
        "ray_session",
        "raylet_watch",
        "spec_changes",
        "sweep_view",
        "turns",
        "workspace",
    },
    {"actor_reuse", "leaving", "lost_machines", "machine_wait", "monitoring"},
    {"tune_adapters"},
    {"sweep", "evaluation", "face", "finalists", "refit", "baselines", "interpretation", "winner_tables"},
    {"sweep_storage", "facts"},
    {"check", "cluster_forecast", "delivery", "warm_start"},
    {"stages"},
    {"run"},
    {"sweep_group", "group_plan", "group_scores"},
    {"submission", "supervision", "stored_sweep"},
    {"terminal", "summary", "group_summary", "cluster_summary", "sweep_tables"},
    {"cluster_commands"},
    {"sweep_commands"},
    {"cli"},
]
SIBLINGS_APART = [{"data", "trainables", "tuning"}, {"sweep", "evaluation"}]
WHO_MAY = {
    "ray": {
        "sweep",
        "tune_adapters",
        "shared_store",
        "trial",
        "trial_workers",
        "worker_group",
        "data",
        "ray_session",
        "raylet_watch",
        "stages",
        "finalists",
        "refit",
        "cluster_jobs",
        "supervision",
        "monitoring",
        "lost_machines",
        "machine_wait",
        "leaving",
    },
    "mlflow": {"tracking"},
    "torch": {"trainables", "trial", "trial_workers"},
    "xgboost": {"trainables"},
    "sklearn": {"trainables"},
    "imblearn": {"trainables"},
    "bed_reader": set(),  # the tests' second opinion
    "pgenlib": {"data"},
    "zstandard": {"data"},
    "optuna": {"tuning"},
    "cmaes": {"tuning"},
    "pyBigWig": {"data"},
    "pybigtools": {"data"},
    "pysam": {"data"},
    "rich": {"terminal", "summary", "group_summary", "sweep_tables"},
    "scipy": {"genome", "tuning"},
    "typer": {"cli", "sweep_commands", "cluster_commands"},
}
HEAVY = ("torch", "xgboost", "mlflow", "ray", "sklearn", "imblearn")


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            names.add(node.module)
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


FILES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def level(part: str) -> int:
    return next(index for index, layer in enumerate(LAYERS) if part in layer)


def test_every_file_belongs_to_a_layer():
    assert {part_of(path) for path in FILES} <= set.union(*LAYERS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_run_one_way(path):
    here = part_of(path)
    parts = {name.split(".")[1] for name in imported(path) if name.startswith("genotune.")} - {here}
    known = {part for part in parts if any(part in layer for layer in LAYERS)}
    for part in known:
        assert level(part) <= level(here), f"{here} imports {part}, which stands above it"
    for siblings in SIBLINGS_APART:
        if here in siblings:
            assert not known & siblings, f"{here} imports its sibling {known & siblings}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_library_is_imported_only_where_it_belongs(path):
    roots = {name.split(".")[0] for name in imported(path)}
    for library, parts in WHO_MAY.items():
        if library in roots:
            assert part_of(path) in parts, f"{library} in {path.name}"


def loaded_after(code: str) -> set[str]:
    program = f"{code}\nimport sys\nprint('\\n'.join(sys.modules))"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(result.stdout.split())


@pytest.mark.parametrize(
    "module",
    ["genotune.cli", "genotune.spec", "genotune.run", "genotune.terminal", "genotune.trial", "genotune.trial_workers"],
)
def test_importing_the_face_and_the_settings_loads_no_heavy_library(module):
    assert not loaded_after(f"import {module}") & set(HEAVY)


def test_checking_a_broken_spec_loads_no_heavy_library(tmp_path):
    spec = tmp_path / "broken.yaml"
    spec.write_text("name: x\nmodels: []\n")
    code = f"import sys; sys.argv = ['genotune', 'check', {str(spec)!r}]"
    code += "\nfrom genotune.cli import _exit_code\nassert _exit_code() == 2"
    assert not loaded_after(code) & set(HEAVY)
