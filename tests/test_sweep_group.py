"""Several sweeps from one file: driven in turn, one failing, killed and resumed; each is an ordinary sweep."""

import fcntl
import json
import os
import shutil
import signal

import numpy as np
import pandas as pd
import pytest
from data.plink_builders import default_bim, write_fileset

from builders import rows
from genotune import sweep_group
from genotune.errors import SweepError
from genotune.journal import read_state
from sweeps import events, runs, start, wait_for

SPEC = """\
name: mice
data:
  kind: plink
  genotypes: mice.bed
  phenotypes: mice.tsv
  trait: {traits}
  winners: each
split: {{by: column, column: litter, {split}, validation: 0.25, seed: 1}}
models:
  - family: ridge
    params: {{n_variants: {{choice: [10, 20]}}}}
search: {{kind: random, seed: 3}}
scheduler: {{kind: none, max_epochs: 1}}
budget: {{trials: 2}}
trials: {{concurrent: 1}}
"""


@pytest.fixture
def spec_of(tmp_path):
    """A spec on 160 mice in litters of four; `rare` is known only of 40 whose genotypes are all the same."""
    rng = np.random.default_rng(5)
    dosage = rng.binomial(2, rng.uniform(0.2, 0.5, 30), (160, 30)).astype(np.int8)
    value = dosage[:, :3] @ np.array([1.0, -0.8, 0.7]) + rng.normal(scale=0.7, size=160)
    dosage[:40] = 1
    write_fileset(tmp_path, "mice", dosage, bim=default_bim(30))
    table = pd.DataFrame({"IID": [f"I{i}" for i in range(160)], "litter": [f"L{i // 4}" for i in range(160)]})
    table["weight"], table["length"] = value, value + rng.normal(size=160)
    table["rare"] = table["weight"].where(table.index < 40)
    table.to_csv(tmp_path / "mice.tsv", sep="\t", index=False, na_rep="NA")

    def write(*, traits, split="test: 0.25"):
        text = SPEC.format(traits=f"[{', '.join(traits)}]", split=split)
        if len(traits) == 1:
            text = text.replace(f"[{traits[0]}]\n  winners: each", traits[0])
        (tmp_path / "mice.yaml").write_text(text)
        return tmp_path / "mice.yaml"

    return write


def folders(tmp_path):
    """The folder of the group, and those of its members by their names."""
    (group,) = [path.parent for path in (tmp_path / ".genotune" / "sweeps").glob("*/group.json")]
    members = json.loads((group / "group.json").read_text())["members"]
    return group, {name: group.parent / folder for name, folder in members.items()}


def test_each_trait_gets_a_winner_of_its_own_and_one_that_fails_does_not_stop_the_others(genotune, spec_of, tmp_path):
    result = genotune("run", spec_of(traits=["rare", "weight"]), timeout_s=600)
    assert result.returncode == 2, result.stdout + result.stderr
    assert "Traceback" not in result.stderr
    group, members = folders(tmp_path)
    assert result.stderr == f"error: {group.name}: 1 of 2 sweeps failed, as told above.\n"
    assert "rare, sweep 1 of 2" in result.stdout
    assert "mice: 1 of 2 sweeps have a winner" in result.stdout
    assert "rare failed: " in result.stdout
    assert read_state(members["rare"]).status == "failed"
    state = read_state(members["weight"])
    assert (state.status, state.facts["data"]["trait"]) == ("complete", "weight")
    assert state.registered["name"] == "mice-weight"
    lines = (group / "sweeps.tsv").read_text().splitlines()
    assert lines[1].split("\t")[:4] == [members["rare"].name, "rare", "", "failed"]
    assert float(lines[2].split("\t")[6]) == pytest.approx(state.scores["winner"]["pearson"])
    parents = [tags for _, _, tags in runs(tmp_path) if tags["genotune.role"] == "sweep"]
    assert sorted(tags["genotune.group_member"] for tags in parents) == ["rare", "weight"]
    assert {tags["genotune.group"] for tags in parents} == {group.name}
    names = rows(tmp_path / ".genotune" / "mlflow.db", "select name from experiments where name != 'Default'")
    assert names == [("mice",)], "the sweeps of a group lie side by side"
    journal = (members["weight"] / "journal.jsonl").read_bytes()
    again = genotune("resume", group.name, timeout_s=600)
    assert again.returncode == 2
    assert "rare, sweep 1 of 2" in again.stdout
    assert "weight, sweep" not in again.stdout
    assert (members["weight"] / "journal.jsonl").read_bytes() == journal
    alone = genotune("resume", members["weight"].name)
    assert alone.returncode == 0, alone.stderr
    assert "models:/mice-weight@best" in alone.stdout


@pytest.mark.slow
def test_a_group_that_is_killed_goes_on_where_it_stood_and_comes_to_the_same_end(genotune, spec_of, tmp_path):
    spec = spec_of(traits=["weight", "length"], split="outer_folds: 2")
    undisturbed = genotune("run", spec, "--workspace", tmp_path / "undisturbed", timeout_s=600)
    assert undisturbed.returncode == 0, undisturbed.stderr
    process = start(spec, tmp_path, "run", spec)
    wait_for(
        tmp_path,
        lambda state: state.facts.get("group", {}).get("member") == "weight-fold-2" and 0 in state.trials,
        process,
        timeout_s=300,
    )
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    group, members = folders(tmp_path)
    assert not members["length-fold-1"].exists()
    first = (members["weight-fold-1"] / "journal.jsonl").read_bytes()
    result = genotune("resume", group.name, timeout_s=600)
    assert result.returncode == 0, result.stdout + result.stderr
    assert (members["weight-fold-1"] / "journal.jsonl").read_bytes() == first
    assert len(events(members["weight-fold-2"], "driver_started")) == 2
    assert all(read_state(folder).status == "complete" for folder in members.values())
    (expected,) = (tmp_path / "undisturbed" / "sweeps").glob("*/sweeps.tsv")
    columns = ["trait", "outer_fold", "family", "winner", "ridge"]
    pd.testing.assert_frame_equal(
        pd.read_csv(group / "sweeps.tsv", sep="\t")[columns], pd.read_csv(expected, sep="\t")[columns]
    )


@pytest.mark.slow
def test_a_group_whose_machine_is_lost_goes_on_by_the_same_command(genotune, spec_of, tmp_path):
    spec = spec_of(traits=["weight", "length"])
    spec.write_text(spec.read_text() + f"storage: {tmp_path / 'kept'}\n")
    process = start(spec, tmp_path, "run", spec, "--as", "lost")
    wait_for(tmp_path, lambda state: state.facts.get("group", {}).get("member") == "length", process, timeout_s=300)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    group, members = folders(tmp_path)
    assert (group.name, members["weight"].name) == ("lost", "lost-weight")
    first = (members["weight"] / "journal.jsonl").read_bytes()
    for folder in (group, *members.values()):
        shutil.rmtree(folder)
    result = genotune("run", spec, "--as", "lost", timeout_s=600)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "mice: 2 of 2 sweeps have a winner" in result.stdout
    assert (members["weight"] / "journal.jsonl").read_bytes() == first
    assert [len(events(folder, "proposed")) for folder in members.values()] == [2, 2]
    again = genotune("run", spec, "--as", "lost", timeout_s=600)
    assert again.returncode == 0, again.stdout + again.stderr
    assert [len(events(folder, "proposed")) for folder in members.values()] == [2, 2]


@pytest.mark.slow
def test_a_group_is_extended_as_a_whole_and_a_sweep_that_has_not_begun_has_the_larger_budget(
    genotune, spec_of, tmp_path
):
    spec = spec_of(traits=["weight", "length"])
    process = start(spec, tmp_path, "run", spec)
    wait_for(tmp_path, lambda state: 0 in state.trials, process, timeout_s=300)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    group, members = folders(tmp_path)
    assert not members["length"].exists()
    spec.write_text(spec.read_text().replace("trials: 2", "trials: 3"))
    refused = genotune("resume", group.name)
    assert refused.returncode == 2
    assert f"genotune resume {group.name} --extend trials=3" in refused.stderr
    result = genotune("resume", group.name, "--extend", "trials=3", timeout_s=600)
    assert result.returncode == 0, result.stdout + result.stderr
    assert [len(read_state(folder).trials) for folder in members.values()] == [3, 3]
    assert [len(events(folder, "extended")) for folder in members.values()] == [1, 1]
    again = genotune("resume", group.name, "--extend", "trials=4", timeout_s=600)
    assert again.returncode == 0, again.stdout + again.stderr
    assert [len(read_state(folder).trials) for folder in members.values()] == [4, 4]


def test_outer_folds_end_with_mean_and_spread_over_samples_each_tested_once(genotune, spec_of, tmp_path):
    result = genotune("run", spec_of(traits=["weight"], split="outer_folds: 2"), timeout_s=600)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stderr == ""
    group, members = folders(tmp_path)
    states = [read_state(folder) for folder in members.values()]
    values = np.array([state.scores["winner"]["pearson"] for state in states])
    gains = values - [state.scores["ridge"]["pearson"] for state in states]
    words = f"winner {values.mean():.4f} ± {values.std(ddof=1):.4f}"
    assert f"test pearson over 2 outer folds (mean ± standard deviation): {words}" in result.stdout
    assert f"paired difference {gains.mean():+.4f} ± {gains.std(ddof=1):.4f}" in result.stdout
    assert "won: ridge 2 of 2" in result.stdout
    assert sum(state.facts["data"]["splits"]["test"]["n_samples"] for state in states) == 160
    assert sum(len(events(folder, "scored")) for folder in members.values()) == 2 * 3, (
        "winner and baselines, once in each"
    )
    assert (group / "spec.yaml").read_text() == (tmp_path / "mice.yaml").read_text()


def test_a_second_driver_of_a_group_is_refused(spec_of, tmp_path):
    spec = spec_of(traits=["weight", "length"])
    group = tmp_path / ".genotune" / "sweeps" / "mice-1"
    group.mkdir(parents=True)
    (group / "spec.yaml").write_text(spec.read_text())
    members = {name: f"mice-{name}-1" for name in ("weight", "length")}
    (group / "group.json").write_text(json.dumps({"spec_path": str(spec), "members": members}))
    with (group / "group.json").open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(SweepError, match=r"^mice-1: another driver is at work on this group\. Wait for it,"):
            sweep_group.resume("mice-1", workspace=tmp_path / ".genotune", address=None, face=None)
