"""Several objectives in a search-space file, and everything that they can't be together."""

import pytest
from spec.test_reading import changed, faults, read  # noqa: F401 - fixtures

from genotune.plan import make_plan
from genotune.spec import read_spec

ONE = "objective: {metric: pearson, bin_bp: 16}\n"


def with_objectives(*objectives, changes=()):
    listed = "".join(f"  - {one}\n" for one in objectives)
    return changed((ONE, f"objective:\n{listed}"), *changes)


def test_a_list_of_objectives_gives_the_primary_one_and_the_further_ones(edited):
    lines = "objective: [{metric: pearson, bin_bp: 32}, {metric: mse}, {metric: n_parameters}]\n"
    spec = read_spec(edited((ONE, lines)))
    assert [one.metric for one in spec.settings.objectives] == ["pearson", "mse", "n_parameters"]
    judge = make_plan(spec).judge
    assert (judge.metric, judge.further, judge.bin_bp) == ("pearson", ("mse", "n_parameters"), 32)
    assert judge.objectives == ("pearson", "mse", "n_parameters")
    assert "n_parameters" not in judge.metrics


def test_a_list_of_one_is_one_objective_and_a_mapping_stays_a_mapping(edited):
    one = {"metric": "pearson", "bin_bp": 16, "split": "validation"}
    assert read_spec(edited()).settings.resolved()["objective"] == one
    spec = read_spec(edited((ONE, "objective: [{metric: mse}]\n")))
    assert [objective.metric for objective in spec.settings.objectives] == ["mse"]
    assert make_plan(spec).judge.further == ()


@pytest.mark.parametrize(
    ("objectives", "message"),
    [
        (
            ["{metric: pearson}", "{metric: mse}", "{metric: mse}"],
            ":24: objective[2].metric: mse is named twice. Remove",
        ),
        (
            ["{metric: pearson}", "{bin_bp: 16}"],
            ":23: objective[1]: metric is missing; of several objectives each says",
        ),
        (["{metric: pearson}", "{metric: mso}"], ":23: objective[1].metric: unknown metric 'mso'. Did you mean 'mse'?"),
        (
            ["{metric: pearson}", "{metrics: mse}"],
            ":23: objective[1].metrics: objective.1 has no such setting. Did you",
        ),
        (
            ["{metric: pearson}", "{metric: auroc}"],
            ":23: objective[1].metric: auroc is for a binary target, this one is",
        ),
        (
            ["{metric: n_parameters}", "{metric: mse}"],
            ":22: objective[0].metric: n_parameters can't come first: the mod",
        ),
        (
            ["{metric: pearson}", "{metric: mse, bin_bp: 24}"],
            ":23: objective[1].bin_bp: found 24; must be a whole mult",
        ),
        (
            ["{metric: pearson, bin_bp: 16}", "{metric: mse, bin_bp: 32}"],
            ":23: objective[1].bin_bp: found 32; all objectives are taken of the same bins, and those of the first ar",
        ),
        (
            ["{metric: pearson}", "{metric: mse, bin_bp: 32}"],
            ":23: objective[1].bin_bp: found 32; all objectives are taken of the same bins, and the first names none.",
        ),
        (
            [f"{{metric: {name}}}" for name in ("pearson", "mse", "mae", "r2", "spearman")],
            ":26: objective[4]: found 5 objectives; of more than 4 hardly any trial beats another. Keep 4.",
        ),
    ],
)
def test_what_objectives_cannot_be_is_refused_at_its_line(objectives, message, faults, edited):  # noqa: F811
    listed = "".join(f"  - {one}\n" for one in objectives)
    if "auroc" not in message:
        assert [line for line in faults(with_objectives(*objectives)) if message in line]
        return
    with pytest.raises(Exception, match="auroc is for a binary target") as caught:
        make_plan(read_spec(edited((ONE, f"objective:\n{listed}"))))
    assert message in str(caught.value)


def test_a_cost_alone_is_no_objective(faults):  # noqa: F811
    [line] = faults(changed((ONE, "objective: {metric: n_parameters}\n")))
    assert line.endswith(
        "21: objective.metric: n_parameters can't come first: the model that costs nothing would win. "
        "Put a metric before it."
    )


def test_an_empty_list_is_no_objective(faults):  # noqa: F811
    [line] = faults(changed((ONE, "objective: []\n")))
    assert line == "tiny.yaml:21: objective: found an empty list; must have at least 1."


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "kind: tpe",
            "kind: gp",
            "19: search.kind: gp compares trials by one objective, and here are several. Write kind",
        ),
        ("kind: tpe", "kind: cmaes", "19: search.kind: cmaes compares trials by one objective, and here are several."),
        (
            "{kind: asha, max_epochs: 4, reduction_factor: 2}",
            "{kind: median, max_epochs: 4}",
            "20: scheduler.kind: median compares trials by one objective, and here are several. Write kind: asha,",
        ),
        (
            "{kind: tpe, seed: 3}",
            "{kind: tpe, seed: 3, start_from: [old]}",
            "19: search.start_from: what earlier sweeps came to is learned of one objective, and here are several.",
        ),
    ],
)
def test_parts_that_know_one_objective_are_refused_beside_several(old, new, message, faults):  # noqa: F811
    [line] = faults(with_objectives("{metric: pearson}", "{metric: mse}", changes=[(old, new)]))
    assert message in line


@pytest.mark.parametrize("search", ["tpe", "random"])
@pytest.mark.parametrize(
    "scheduler",
    [
        "{kind: asha, max_epochs: 4, reduction_factor: 2}",
        "{kind: hyperband, max_epochs: 4}",
        "{kind: none, max_epochs: 4}",
    ],
)
def test_parts_that_compare_by_all_objectives_or_by_none_are_taken(search, scheduler, read):  # noqa: F811
    changes = [("kind: tpe", f"kind: {search}"), ("{kind: asha, max_epochs: 4, reduction_factor: 2}", scheduler)]
    read(with_objectives("{metric: pearson}", "{metric: n_parameters}", changes=changes))
