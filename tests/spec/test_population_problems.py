"""Faults of a spec whose trials change while they run: each with its line, what was found and what to do."""

from pathlib import Path

import pytest

from builders import SPEC
from genotune.errors import SpecError
from genotune.spec.reading import read_spec

ASHA = "{kind: asha, max_epochs: 4, reduction_factor: 2}"
PBT = "{kind: pbt, max_epochs: 4, population: 5}"
RIDGE = "  - family: ridge\n    params: {penalty: {choice: [0.1, 1.0]}}\nsearch:"
TREES = "  - family: boosted_trees\n    params: {max_depth: {int: [2, 4]}}\nsearch:"


def pbt(*changes):
    """The tiny spec with a population of five."""
    text = SPEC.replace(ASHA, PBT)
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return text


def read(text):
    return read_spec(Path("tiny.yaml"), text=text)


def line_of(text, part):
    return next(number for number, line in enumerate(text.splitlines(), 1) if part in line)


def test_a_population_that_fits_is_taken_and_knows_what_changes():
    spec = read(pbt())
    assert spec.changing == {"poisson_cnn": ("learning_rate",)}
    assert spec.settings.scheduler.generation_epochs == 1
    assert read(SPEC).changing == {}
    several = pbt(("search:", TREES), ("{trials: 5}", "{trials: 10}"))
    assert read(several).changing == {"poisson_cnn": ("learning_rate",), "boosted_trees": ("max_depth",)}


@pytest.mark.parametrize(
    ("changes", "place", "message"),
    [
        (
            [("population: 5", "population: 5, change: [channels]")],
            "scheduler:",
            "scheduler.change[0]: found 'channels'; it can't change while a fit of poisson_cnn runs. There can: "
            "clip_norm, dropout, jitter_bp, learning_rate, weight_decay.",
        ),
        (
            [("population: 5", "population: 5, change: [learning_rate, lerning_rate]")],
            "scheduler:",
            "scheduler.change[1]: found 'lerning_rate'; no parameter that is searched has this name. There: channels, "
            "n_blocks, learning_rate.",
        ),
        (
            [("learning_rate: {log_uniform: [1.0e-3, 3.0e-2]}", "learning_rate: 1.0e-3")],
            "scheduler:",
            "scheduler.kind: found pbt; nothing that is searched in poisson_cnn may change while a fit runs (and "
            "stands in `change`, where that is given). Search one of these: clip_norm, dropout, jitter_bp, "
            "learning_rate, weight_decay.",
        ),
        (
            [("search:", RIDGE), ("{trials: 5}", "{trials: 10}")],
            "scheduler:",
            "scheduler.kind: found pbt; no hyperparameter of ridge can change while a fit runs. Use another scheduler, "
            "or leave it out.",
        ),
        (
            [("{trials: 5}", "{trials: 24}")],
            "budget:",
            "budget.trials: found 24; scheduler pbt trains a population for each family side by side, and no other "
            "trials. Write 5.",
        ),
        (
            [("search:", TREES)],
            "budget:",
            "budget.trials: found 5; scheduler pbt trains a population for each family side by side, and no other "
            "trials. Write 10.",
        ),
        (
            [("{trials: 5}", "{trials: 5, plateau: {trials: 3}}")],
            "budget:",
            "budget.plateau: under scheduler pbt all trials begin before one ends, so there is none to leave out. "
            "Remove it.",
        ),
        (
            [("trials: {concurrent: 1}", "trials: {folds: 3}")],
            "trials: {folds",
            "trials.folds: the winner would be fitted again from its params, and under scheduler pbt they change while "
            "it is fitted. Remove it, or use another scheduler.",
        ),
        (
            [("trials: {concurrent: 1}", "evaluation: {refit: true}")],
            "evaluation:",
            "evaluation.refit: the winner would be fitted again from its params, and under scheduler pbt they change "
            "while it is fitted. Remove it, or use another scheduler.",
        ),
        (
            [("trials: {concurrent: 1}", "evaluation: {folds: 3}")],
            "evaluation:",
            "evaluation.folds: the winner would be fitted again from its params, and under scheduler pbt they change "
            "while it is fitted. Remove it, or use another scheduler.",
        ),
        (
            [
                ("search: {kind: tpe, seed: 3}", "search: {kind: grid}"),
                ("search:", TREES),
                ("{trials: 5}", "{trials: 10}"),
                ("{log_uniform: [1.0e-3, 3.0e-2]}", "{choice: [1.0e-3, 3.0e-2]}"),
            ],
            "search:",
            "search.kind: found grid; it has an order of its own, and scheduler pbt fills a population of each family. "
            "Write kind: random.",
        ),
        (
            [
                ("population: 5", "population: 2"),
                ("{trials: 5}", "{trials: 4}"),
                ("search:", TREES),
                (
                    "seed: 3}",
                    "seed: 3, points: ["
                    + ", ".join(f"{{family: boosted_trees, params: {{max_depth: {depth}}}}}" for depth in (2, 3, 4))
                    + "]}",
                ),
            ],
            "search:",
            "search.points: found 3 of boosted_trees; its population has 2 trials. Leave some out.",
        ),
    ],
)
def test_what_a_population_can_not_use_is_refused_with_its_place(changes, place, message):
    text = pbt(*changes)
    with pytest.raises(SpecError, match=r"tiny\.yaml") as caught:
        read(text)
    assert list(caught.value.lines) == [f"tiny.yaml:{line_of(text, place)}: {message}"]
