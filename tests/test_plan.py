"""What a sweep will do, from the headers of its files alone; and whether a machine can."""

import pytest

from genotune.errors import ResourceError, SpecError
from genotune.plan import MachineSize, check_resources, make_plan, this_machine
from genotune.spec import read_spec

LAPTOP = MachineSize(8, 0, 16, "this machine")


def plan_of(path):
    return make_plan(read_spec(path))


def with_resources(edited, resources):
    spec = edited(("budget: {trials: 5}", f"budget: {{trials: 5}}\nresources: {{poisson_cnn: {resources}}}"))
    return plan_of(spec)


def test_splits_are_named_and_measured(tiny):
    plan = plan_of(tiny)
    assert [part.tolist() for part in plan.fold] == [[0], [1], [2]]
    assert plan.data.name_split(plan.fold.test) == "chrC"
    assert [split.tolist() for split in plan.trial_splits] == [[0], [1]]


def test_train_may_name_its_contigs(edited):
    plan = plan_of(
        edited(
            (
                "split: {by: contig, validation: [chrB], test: [chrC]}",
                "split: {by: contig, validation: [chrC], test: [chrB], train: [chrA]}",
            )
        )
    )
    assert [part.tolist() for part in plan.fold] == [[0], [2], [1]]


def test_the_objective_is_the_usual_one_on_the_bins_of_the_store_if_none_is_said(edited):
    assert plan_of(edited(("objective: {metric: pearson, bin_bp: 16}\n", ""))).judge == ("pearson", "signal", 16)


def test_an_objective_that_does_not_fit_a_signal_is_refused_at_its_line(edited):
    spec = edited(("metric: pearson", "metric: auroc"))
    with pytest.raises(SpecError, match=r"tiny\.yaml:21: objective\.metric: auroc is for a binary target"):
        plan_of(spec)


def test_finalists_are_compared_on_folds_of_all_but_test_if_asked(edited):
    plan = plan_of(edited(("budget: {trials: 5}", "budget: {trials: 5}\nevaluation: {folds: 2}")))
    assert [[part.tolist() for part in fold] for fold in plan.folds] in (
        [[[0], [1], [2]], [[1], [0], [2]]],
        [[[1], [0], [2]], [[0], [1], [2]]],
    )


def test_more_folds_than_contigs_are_refused_at_their_line(edited):
    spec = edited(("budget: {trials: 5}", "budget: {trials: 5}\nevaluation: {folds: 3}"))
    with pytest.raises(SpecError, match=r"tiny\.yaml:23: evaluation\.folds: found 3; .* have 2 groups to hold out"):
        plan_of(spec)


def test_windows_are_counted_within_each_split(tiny):
    """40,000 and 12,000 bp hold 156 and 46 whole windows of 256 bp."""
    forecast = plan_of(tiny).families["poisson_cnn"]
    assert forecast.n_examples == {"train": (156, 156), "validation": (46, 46), "test": (46, 46)}
    assert (forecast.max_epochs, forecast.rungs, forecast.n_domains) == (4, (1, 2), 3)


def test_windows_are_counted_at_both_ends_of_a_searched_stride(edited):
    """(2,500 bins - 16) // 8 + 1 windows at half a window's stride."""
    forecast = plan_of(edited(("stride_bp: 256", "stride_bp: {choice: [128, 256]}"))).families["poisson_cnn"]
    assert forecast.n_examples["train"] == (156, 311)


def test_a_family_without_epochs_has_one_and_no_rungs(edited):
    """Its bins are 32 bp wide by default: 1,250 in 40,000 bp."""
    forecast = plan_of(edited(("search:", "  - family: ridge\nsearch:"))).families["ridge"]
    assert (forecast.max_epochs, forecast.rungs) == (1, ())
    assert forecast.n_examples["train"] == (1250, 1250)


def test_a_range_that_does_not_fit_the_data_is_told_at_its_line(edited):
    spec = edited(("length_bp: 256", "length_bp: {choice: [256, 65536]}"))
    with pytest.raises(
        SpecError, match=r"tiny\.yaml:13: params\.windows\.length_bp.*longest training contig has 40000"
    ):
        plan_of(spec)


def test_a_sweep_that_fits_is_accepted(tiny):
    check_resources(plan_of(tiny), [LAPTOP])
    check_resources(plan_of(tiny), [MachineSize(1, 0, 1, "small"), LAPTOP])


@pytest.mark.parametrize(
    ("resources", "words"),
    [
        ("{cpus: 9}", "9 CPUs, 0 GPUs; the largest machine has 8 CPUs, 0 GPUs, 16 GiB"),
        ("{cpus: 1, gpus: 0.5}", "1 CPUs, 0.5 GPUs; the largest machine has 8 CPUs, 0 GPUs, 16 GiB"),
        ("{memory_gib: 17}", "1 CPUs, 0 GPUs, 17 GiB; the largest machine has 8 CPUs, 0 GPUs, 16 GiB"),
    ],
)
def test_a_trial_that_fits_no_machine_is_refused(edited, resources, words):
    plan = with_resources(edited, resources)
    with pytest.raises(ResourceError, match=r"resources\.poisson_cnn: a trial asks for") as caught:
        check_resources(plan, [LAPTOP])
    assert words in str(caught.value)
    assert "(this machine). Ask for less" in str(caught.value)


def test_cpus_of_one_machine_and_gpus_of_another_do_not_add_up(edited):
    plan = with_resources(edited, "{cpus: 6, gpus: 1}")
    with pytest.raises(ResourceError, match="a trial asks for 6 CPUs, 1 GPUs"):
        check_resources(plan, [LAPTOP, MachineSize(4, 1, 64, "a node")])
    check_resources(plan, [LAPTOP, MachineSize(6, 1, 64, "a node")])


def test_a_store_that_fits_no_machine_is_refused_with_everything_else(edited):
    plan = with_resources(edited, "{cpus: 9}")
    tight = LAPTOP._replace(memory_gib=1.9 * plan.data.store_nbytes / 2**30)
    with pytest.raises(ResourceError, match=r"data\.resolution_bp: the store takes") as caught:
        check_resources(plan, [tight])
    assert "A resolution_bp of 64 needs less" in str(caught.value)
    assert "asks for 9 CPUs" in str(caught.value)
    check_resources(plan_of(plan.spec.path), [tight._replace(cpus=9, memory_gib=2.1 * plan.data.store_nbytes / 2**30)])


def test_this_machine_has_something_to_offer():
    machine = this_machine()
    assert machine.cpus >= 1
    assert machine.memory_gib > 0.1
    assert machine.where == "this machine"
