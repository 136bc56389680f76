"""The search spaces that come with genotune: all can run, and the smallest does."""

import re
import textwrap
from collections import Counter
from pathlib import Path

import pytest

from genotune.journal import read_state
from genotune.spec import read_spec
from sweeps import assert_record_is_complete, sweep_folder

SEARCH_SPACES = Path(__file__).parents[1] / "search_spaces"
BENCHMARKS = SEARCH_SPACES.with_name("benchmarks")


@pytest.mark.parametrize(
    "spec", sorted([*SEARCH_SPACES.glob("*.yaml"), *BENCHMARKS.glob("*.yaml")]), ids=lambda spec: spec.name
)
def test_a_search_space_says_what_it_is_for_and_can_run(genotune, spec):
    assert spec.read_text().startswith(f"# {spec.name}: ")
    result = genotune("check", spec)
    assert result.returncode == 0, result.stderr


def test_the_smoke_sweep_runs_to_a_registered_winner(genotune, tmp_path):
    result = genotune("run", SEARCH_SPACES / "smoke.yaml")
    assert result.returncode == 0, result.stdout + result.stderr
    state = read_state(sweep_folder(tmp_path))
    assert {trial.family for trial in state.trials.values()} == {"poisson_cnn", "ridge"}
    assert state.status == "complete"
    assert state.registered["name"] == "smoke"
    assert state.scores["winner"]["pearson"] > 0.5


def of_size(folder, spec, trials):
    """An example with so many trials, which may be fewer than it has."""
    text = spec.read_text().replace("demo/", f"{SEARCH_SPACES}/demo/")
    text, n_budgets = re.subn(r"^(budget: {trials: )\d+", rf"\g<1>{trials}", text, flags=re.MULTILINE)
    assert n_budgets == 1
    (folder / spec.name).write_text(text)
    return folder / spec.name


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("spec", "trials", "families", "least"),
    [
        ("boosted_trees.yaml", 8, {"boosted_trees", "ridge"}, 0.4),
        ("genotypes.yaml", 12, {"ridge", "elastic_net", "boosted_trees", "genotype_cnn"}, 0.4),
        ("compare.yaml", 9, {"poisson_cnn", "boosted_trees", "ridge"}, 0.5),
        ("torch_module.yaml", 3, {"torch_module"}, 0.5),
        ("peaks.yaml", 9, {"poisson_cnn", "boosted_trees", "ridge"}, 0.2),
    ],
)
def test_families_compete_in_one_sweep_with_a_complete_record(  # noqa: PLR0917
    genotune, tmp_path, spec, trials, families, least
):
    result = genotune("run", of_size(tmp_path, SEARCH_SPACES / spec, trials), timeout_s=1700)
    assert result.returncode == 0, result.stdout + result.stderr
    state = read_state(sweep_folder(tmp_path))
    counts = Counter(trial.family for trial in state.trials.values())
    assert set(counts) == families
    assert min(counts.values()) >= 3
    assert {trial.status for trial in state.trials.values()} <= {"complete", "stopped"}
    assert_record_is_complete(tmp_path, state)
    assert state.winner["value"] > least
    if spec == "boosted_trees.yaml":
        assert state.winner["trial"] in state.folds
        assert {state.trials[number].family for number in state.folds} == families
    else:
        assert state.winner["value"] == max(max(trial.curve.values()) for trial in state.trials.values())
    assert set(state.scores) - {"covariates_only"} == {"winner", "ridge"}


def test_the_example_of_a_wrapped_network_is_one_that_its_file_can_take(tmp_path):
    """As far as reading tells: what it wraps need not be installed."""
    wrapper = (SEARCH_SPACES / "demo" / "grelu_network.py").read_text()
    models = wrapper[wrapper.index("    models:") : wrapper.index("`architecture: ConvModel`")]
    whole = (SEARCH_SPACES / "torch_module.yaml").read_text()
    text = whole[: whole.index("models:")] + textwrap.dedent(models) + whole[whole.index("search:") :]
    spec = read_spec(SEARCH_SPACES / "torch_module.yaml", text=text)
    assert list(spec.code) == ["demo/grelu_network.py"]
    assert "arguments.settings.channels" in spec.space["torch_module"].domains


def test_the_demo_data_stay_small_and_name_their_sources():
    demo = SEARCH_SPACES / "demo"
    assert sum(path.stat().st_size for path in demo.rglob("*") if path.is_file()) < 20_000_000
    assert all((folder / "SOURCES.txt").is_file() for folder in demo.iterdir() if folder.is_dir())
