"""What a group of sweeps will do: its members, what they share, and every fault of every one at once."""

import itertools
import re

import numpy as np
import pytest
from data.plink_builders import default_bim, write_fileset, write_rows

from genotune.errors import DataError
from genotune.group_plan import GroupForecast, Planner, forecast
from genotune.group_summary import forecast_lines
from genotune.machines import MachineSize
from genotune.spec import read_sweeps
from genotune.sweep_group import check
from genotune.terminal import show_check

N = 48
SPEC = """\
name: mice
data:
  kind: plink
  genotypes: mice.bed
  phenotypes: traits.tsv
  trait: [CD8, MCH]
  winners: each
split: {by: column, column: litter, outer_folds: 3, validation: 0.25, seed: 1}
models:
  - family: ridge
search: {kind: random, seed: 1}
scheduler: {kind: asha, max_epochs: 4, reduction_factor: 2}
budget: {trials: 3, hours: 0.5}
"""
LAPTOP = MachineSize(2, 0, 8, "this machine")


@pytest.fixture
def group(tmp_path):
    """The group of 48 mice in 12 litters that the spec describes, with each pair of changes made in it."""
    rng = np.random.default_rng(0)
    write_fileset(tmp_path, "mice", rng.integers(0, 3, size=(N, 10)), bim=default_bim(10))
    table = [("IID", "CD8", "MCH", "case", "litter")]
    for i in range(N):
        mch = "NA" if i < 8 else f"{rng.normal():.3f}"
        table.append((f"I{i}", f"{rng.normal():.3f}", mch, int(i in (12, 13, 16)), f"L{i // 4}"))
    write_rows(tmp_path / "traits.tsv", table, separator="\t")

    def read(*changes):
        text = SPEC
        for old, new in changes:
            assert old in text, old
            text = text.replace(old, new)
        (tmp_path / "mice.yaml").write_text(text)
        return read_sweeps(tmp_path / "mice.yaml")

    return read


def plans_of(group):
    planner = Planner()
    return {member.name: planner.plan(member.spec) for member in group.members}


def test_every_sample_is_tested_once_for_each_trait_by_a_sweep_that_learns_nothing_from_it(group):
    plans = plans_of(group())
    for trait, n in (("CD8", N), ("MCH", N - 8)):
        mine = [plans[f"{trait}-fold-{number}"] for number in (1, 2, 3)]
        tested = [plan.data.samples.ids[plan.fold.test, 1].tolist() for plan in mine]
        assert sorted(itertools.chain(*tested)) == sorted(mine[0].data.samples.ids[:, 1].tolist())
        assert sum(map(len, tested)) == n
        for plan in mine:
            litter = plan.data.samples.table.columns["litter"]
            held_out = {*litter[plan.fold.test]}
            assert not held_out & {*litter[plan.fold.train], *litter[plan.fold.validation]}
            assert plan.data.samples.trait == trait


def test_folds_inside_of_a_member_hold_nothing_of_its_test_part(group):
    for plan in plans_of(group(("budget:", "trials: {folds: 3}\nbudget:"))).values():
        for fold in plan.trial_folds:
            assert not {*fold.train.tolist(), *fold.validation.tolist()} & {*plan.fold.test.tolist()}


def test_genotypes_are_opened_once_and_tables_once_for_each_trait(group):
    plans = plans_of(group())
    assert plans["CD8-fold-1"].data is plans["CD8-fold-3"].data
    assert plans["CD8-fold-1"].data is not plans["MCH-fold-1"].data
    assert plans["CD8-fold-1"].data.genotypes is plans["MCH-fold-1"].data.genotypes


def test_a_plan_beside_another_is_the_plan_that_it_would_be_alone(group):
    described = group()
    together = plans_of(described)
    for member in described.members:
        alone, beside = Planner().plan(member.spec), together[member.name]
        np.testing.assert_array_equal(alone.data.samples.values, beside.data.samples.values)
        for mine, other in zip(alone.fold, beside.fold, strict=True):
            np.testing.assert_array_equal(mine, other)


def test_the_forecast_tells_members_trials_and_hours_in_all(group, capsys):
    described = group()
    lines = forecast_lines(forecast(described, [LAPTOP]))
    assert lines[0].endswith("of 6 sweeps can run, one for each of 3 outer folds of each of 2 traits.")
    assert lines[1].split() == ["sweep", "train", "validation", "test"]
    assert lines[2] == "mice-CD8-fold-1  20 samples  12 samples  16 samples"
    assert len(lines[2:-1]) == 6
    assert lines[-1] == "budget of each sweep: 3 trials or 0.5 h, whichever comes first; of all 6: 18 trials or 3 h"
    checked = check(described.path)
    assert isinstance(checked, GroupForecast)
    show_check(checked)
    printed = capsys.readouterr().out
    assert "sweep mice-CD8-fold-1 can run" in printed
    assert lines[-1] in printed


def test_a_fault_of_all_members_is_told_once(group):
    with pytest.raises(DataError, match=r"traits\.tsv has no column 'CD9'") as caught:
        forecast(group(("[CD8, MCH]\n  winners: each", "CD9")), [LAPTOP])
    assert len(str(caught.value).splitlines()) == 1


def test_a_fault_of_some_members_is_told_with_their_names(group):
    described = group(("[CD8, MCH]", "[CD8, case]"))
    with pytest.raises(DataError, match=r"split.*holds no sample with case 1") as caught:
        forecast(described, [LAPTOP])
    for line in str(caught.value).splitlines():
        assert re.search(r"\(In the sweep of case-fold-\d(, case-fold-\d)*\.\)$", line), line


def test_a_group_is_held_against_node_types_and_told_what_all_of_it_costs(group, tmp_path, capsys):
    (tmp_path / "gcp.yaml").write_text(
        "max_workers: 2\nprovider: {type: gcp, prices: {currency: EUR, cpu_hour: 0.1}}\nhead_node_type: head\n"
        "available_node_types: {head: {resources: {CPU: 0}}, cpu: {resources: {CPU: 4}}}\n"
    )
    show_check(check(group().path, cluster=tmp_path / "gcp.yaml"))
    printed = capsys.readouterr().out
    assert "fits: ridge on cpu (4 a machine); room for 8 at once" in printed
    # Three trials at most, each on a machine of its own, of which there are two: 0.80 EUR an hour.
    assert "estimate: up to 0.40 EUR in its 0.5 h; of 6 such sweeps 2.40 EUR" in printed


def test_a_trial_that_fits_no_node_type_is_told_once_for_the_whole_group(group, tmp_path):
    (tmp_path / "gcp.yaml").write_text(
        "max_workers: 2\nprovider: {type: gcp}\nhead_node_type: head\n"
        "available_node_types: {head: {resources: {CPU: 0}}, cpu: {resources: {CPU: 4}}}\n"
    )
    described = group(("budget:", "resources: {ridge: {cpus: 8}}\nbudget:"))
    with pytest.raises(DataError, match=r"resources\.ridge: .* The nearest is cpu with 4 CPUs") as caught:
        check(described.path, cluster=tmp_path / "gcp.yaml")
    assert len(str(caught.value).splitlines()) == 1


def test_more_outer_folds_than_groups_are_told_with_the_line(group):
    message = r"mice\.yaml:7: split\.outer_folds: found 13; there are 12 groups to test, each in one fold\."
    with pytest.raises(DataError, match=message) as caught:
        forecast(group(("[CD8, MCH]\n  winners: each", "CD8"), ("outer_folds: 3", "outer_folds: 13")), [LAPTOP])
    assert len(str(caught.value).splitlines()) == 1


def test_a_trial_that_fits_no_machine_is_told_for_the_whole_group(group):
    with pytest.raises(DataError, match=r"resources\.ridge: a trial asks for 1 CPUs") as caught:
        forecast(group(), [LAPTOP._replace(cpus=0.5)])
    assert len(str(caught.value).splitlines()) == 1
