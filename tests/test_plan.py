"""What a sweep will do, from the headers of its files alone; and whether a machine can."""

import shutil

import numpy as np
import pytest
from data.plink_builders import write_fileset, write_rows

from genotune.errors import ResourceError, SpecError
from genotune.machines import MachineSize, this_machine, trials_at_once
from genotune.node_types import Fleet, NodeType
from genotune.plan import check_resources, make_plan
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
    assert plan.name_split("test") == plan.data.name_split(plan.fold.test) == "chrC"
    assert (plan.trial_splits.train.tolist(), plan.trial_splits.validation.tolist()) == ([0], [1])
    assert plan.trial_splits.tracks is None


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
    assert plan_of(edited(("objective: {metric: pearson, bin_bp: 16}\n", ""))).judge == (
        "pearson",
        "signal",
        16,
        (),
        (),
    )


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


GROUPS = "{by: contig_group, groups: {one: [chrA], two: [chrB], three: [chrC]}, validation: one, test: three}"


def test_named_groups_of_contigs_are_the_folds(edited):
    by_contig = "{by: contig, validation: [chrB], test: [chrC]}"
    plan = plan_of(edited((by_contig, GROUPS), ("budget: {trials: 5}", "budget: {trials: 5}\nevaluation: {folds: 2}")))
    assert [part.tolist() for part in plan.fold] == [[1], [0], [2]]
    assert [[part.tolist() for part in fold] for fold in plan.folds] == [[[1], [0], [2]], [[0], [1], [2]]]
    spec = edited(("folds: 2", "folds: 3"))
    with pytest.raises(
        SpecError, match=r"tiny\.yaml:23: evaluation\.folds: found 3; .* held out in turn\. Write folds: 2"
    ):
        plan_of(spec)


def test_what_a_model_is_held_against_has_the_training_tracks_alone(edited, tmp_path):
    shutil.copy(tmp_path / "sites.bw", tmp_path / "more.bw")
    spec = edited(
        ("{by: contig, validation: [chrB], test: [chrC]}", "{by: track, validation: [b], test: [c]}"),
        (
            "    sites: {path: sites.bw, transform: none}\n",
            "    a: {path: sites.bw}\n    b: {path: more.bw}\n    c: {path: more.bw}\n",
        ),
    )
    plan = plan_of(spec)
    assert [part.tolist() for part in plan.trial_splits.tracks] == [[0], [1]]
    assert plan.name_split("validation") == "b on chrA, chrB, chrC"
    assert plan.notes[-1].startswith("split.contigs is null")
    # A weight of a track that no model predicts is a fault, whether the data has the track or not.
    spec.write_text(
        spec.read_text().replace(
            "bin_bp: 16\n      channels", "bin_bp: 16\n      track_weights: {b: 2}\n      channels"
        )
    )
    with pytest.raises(SpecError, match=r"params\.track_weights\.b: no track has this name; there are a\."):
        plan_of(spec)


def test_strata_are_sets_of_peaks_each_once(edited, tmp_path):
    (tmp_path / "open.bed").write_text("chrA\t10\t20\n")
    spec = edited(
        ("  missing: zero", "  missing: zero\n  peaks: {open: {path: open.bed}}"),
        ("budget: {trials: 5}", "budget: {trials: 5}\nevaluation: {strata: [open]}"),
    )
    assert plan_of(spec).judge.strata == ("open",)
    spec = edited(("strata: [open]", "strata: [open, opne, open]"))
    with pytest.raises(SpecError, match="strata") as caught:
        plan_of(spec)
    assert [line.split("yaml:24: ")[1] for line in caught.value.lines] == [
        "evaluation.strata[1]: there is no set of peaks 'opne'. Did you mean 'open'?",
        "evaluation.strata[2]: 'open' is named twice.",
    ]


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


def test_the_workers_of_a_trial_are_on_one_machine_or_several_all_at_once(edited):
    plan = with_resources(edited, "{workers: 3, cpus: 2, gpus: 1}")
    node = MachineSize(4, 8, 64, "a node")
    check_resources(plan, [node, node])
    wanted = plan.families["poisson_cnn"].resources
    assert [trials_at_once(wanted, [node] * n) for n in (1, 2, 3, 4)] == [0, 1, 2, 2]
    words = (
        r"resources\.poisson_cnn: a trial asks for 3 workers with 2 CPUs, 1 GPUs each; there is room for 2; the "
        r"largest machine has 4 CPUs, 8 GPUs, 64 GiB \(a node\)\. Ask for less"
    )
    with pytest.raises(ResourceError, match=words):
        check_resources(plan, [node, MachineSize(1, 8, 64, "small")])


def test_room_is_counted_in_whole_workers_in_cpus_and_memory(edited):
    wanted = with_resources(edited, "{workers: 3, cpus: 0.1, memory_gib: 4}").families["poisson_cnn"].resources
    assert [trials_at_once(wanted, [MachineSize(0.3, 0, gib, "small")]) for gib in (11.9, 12)] == [0, 1]


def test_a_batch_has_a_window_for_each_worker_at_all_ends_of_its_range(edited):
    resources = ("budget: {trials: 5}", "budget: {trials: 5}\nresources: {poisson_cnn: {workers: 4}}")
    spec = edited(
        ("bin_bp: 16\n      channels", "bin_bp: 16\n      batch_size: {int: [3, 8]}\n      channels"), resources
    )
    fault = r"params\.batch_size.*: found 3; 4 workers share each batch \(resources\): at least 4\."
    with pytest.raises(SpecError, match=fault):
        plan_of(spec)
    plan_of(edited(("int: [3, 8]", "int: [4, 8]")))


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


MICE = """\
name: mice
data: {kind: plink, genotypes: mice.bed, phenotypes: mice.tsv, trait: weight}
split: {by: family, validation: 0.25, test: 0.25}
models: [{family: ridge}]
search: {kind: random}
scheduler: {kind: none, max_epochs: 1}
budget: {trials: 2}
"""


@pytest.mark.parametrize(
    ("section", "n_stores"),
    [("", 1), ("trials: {folds: 3}", 5), ("evaluation: {folds: 3}", 4), ("evaluation: {folds: 3, refit: true}", 5)],
)
def test_of_genotypes_a_store_for_each_set_of_training_samples_is_counted(tmp_path, section, n_stores):
    rng = np.random.default_rng(0)
    write_fileset(tmp_path, "mice", rng.integers(0, 3, (40, 50)))
    rows = [("FID", "IID", "weight"), *((f"F{i // 2}", f"I{i}", rng.normal()) for i in range(40))]
    write_rows(tmp_path / "mice.tsv", rows, separator="\t")
    (tmp_path / "mice.yaml").write_text(MICE + section)
    plan = plan_of(tmp_path / "mice.yaml")
    one_gib = plan.data.store_nbytes / 2**30
    assert plan.n_stores == n_stores
    assert plan.store_nbytes == n_stores * plan.data.store_nbytes
    check_resources(plan, [LAPTOP._replace(memory_gib=(n_stores + 1) * one_gib)])
    of_all = "" if n_stores == 1 else rf", {n_stores} of them 0\.0 GiB,"
    with pytest.raises(
        ResourceError, match=rf"data\.keep_variants: the store takes 0\.0 GiB{of_all} and .* needs less"
    ):
        check_resources(plan, [LAPTOP._replace(memory_gib=(n_stores + 0.9) * one_gib)])


def test_this_machine_has_something_to_offer():
    machine = this_machine()
    assert machine.cpus >= 1
    assert machine.memory_gib > 0.1
    assert machine.where == "this machine"


def test_of_tracks_one_store_serves_all_folds_of_the_trials(edited):
    plan = plan_of(edited(("trials: {concurrent: 1}", "trials: {concurrent: 1, folds: 2}")))
    assert len(plan.trial_folds) == 2
    assert plan.refits
    assert plan.judged_on == "2 folds of training and validation"
    assert plan.store_nbytes == plan.data.store_nbytes


HEAD = NodeType("head", 0, 0, None, 0, 0, is_head=True)
STARTABLE = Fleet((HEAD, NodeType("gpu", 4, 1, 16, 0, 3)), 3)


def test_a_trial_may_fit_a_machine_that_is_yet_to_be_started(edited):
    plan = with_resources(edited, "{gpus: 1}")
    with pytest.raises(ResourceError, match=r"Of one that starts machines when they are needed, --cluster FILE names"):
        check_resources(plan, [LAPTOP])
    check_resources(plan, [LAPTOP], fleet=STARTABLE)


def test_a_trial_that_fits_neither_what_is_there_nor_what_could_be_is_refused(edited):
    plan = with_resources(edited, "{gpus: 2}")
    message = r"the largest machine has 8 CPUs.*, and no node type of --cluster has that either\. Ask for less, or give"
    with pytest.raises(ResourceError, match=message):
        check_resources(plan, [LAPTOP], fleet=STARTABLE)


def test_the_store_must_fit_a_machine_that_is_there(edited):
    plan = with_resources(edited, "{cpus: 1}")
    with pytest.raises(ResourceError, match=r"the store takes .*; the largest machine has 0\.0 GiB"):
        check_resources(plan, [LAPTOP._replace(memory_gib=1e-9)], fleet=STARTABLE)
