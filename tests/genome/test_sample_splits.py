"""Splits of samples as a spec writes them: what they hold out, what they refuse, what they tell."""

import numpy as np
import pytest
from pydantic import ValidationError

from genotune.errors import Problem
from genotune.genome.sample_groups import SampleTable
from genotune.genome.splits import SplitSettings
from genotune.settings import build

SIRES = ["s1", "s1", "s2", "s2", "s3", "s3", "s4", "s4", "", "s5"]
DAMS = ["d1", "d1", "d2", "d2", "d3", "d3", "d4", "d4", "d5", ""]
FAMILIES = ["f1", "f1", "f2", "f2", "f3", "f3", "0", "", "f4", "f4"]
PARENTS = ["sire", "dam"]


def table(families=FAMILIES, **columns):
    cells = {"sire": SIRES, "dam": DAMS, **columns}
    return SampleTable(np.array(families), {name: np.array(values) for name, values in cells.items()})


def split(by, **values):
    return build(SplitSettings, {"by": by, "validation": 0.2, "test": 0.2, **values})


def only(problems):
    [problem] = problems
    return problem


@pytest.mark.parametrize(
    ("settings", "groups"),
    [
        (split("column", column="sire"), [0, 0, 1, 1, 2, 2, 3, 3, -1, 4]),
        (split("column", column=["sire"]), [0, 0, 1, 1, 2, 2, 3, 3, -1, 4]),
        (split("column", column=PARENTS), [0, 0, 1, 1, 2, 2, 3, 3, -1, -1]),
        (split("family"), [0, 0, 1, 1, 2, 2, -1, -1, 3, 3]),
        (split("random"), [*range(10)]),
    ],
)
def test_groups_stay_together_and_a_sample_without_one_trains(settings, groups):
    samples = table()
    assert settings.of == "samples"
    assert settings.problems(samples) == []
    assert settings.groups(samples).tolist() == groups
    fold = settings.resolve(samples)
    assert sorted(sample for part in fold for sample in part) == [*range(10)]
    assert {sample for sample, group in enumerate(groups) if group == -1} <= {*fold.train.tolist()}
    if settings.by != "random":
        assert [len({groups[sample] for sample in part}) for part in (fold.validation, fold.test)] == [1, 1]


@pytest.mark.parametrize("by", [{"by": "column", "column": "sire"}, {"by": "family"}, {"by": "random"}])
def test_the_seed_alone_decides(by):
    samples = table([f"f{index // 3}" for index in range(90)], sire=[f"s{index // 2}" for index in range(90)])
    folds = [[part.tolist() for part in split(**by, seed=seed).resolve(samples)] for seed in (0, 0, 1)]
    assert folds[0] == folds[1]
    assert all(first != other for first, other in zip(folds[0], folds[2], strict=True))
    assert folds[0] == [part.tolist() for part in split(**by).resolve(samples)]


def test_the_order_of_the_samples_does_not_change_which_families_are_held_out():
    families = np.array([f"f{index // 3}" for index in range(60)])
    backwards = SampleTable(families[::-1], {})
    first = split("family").resolve(SampleTable(families, {}))
    second = split("family").resolve(backwards)
    assert {*families[first.test]} == {*backwards.families[second.test]}


def test_groups_may_be_named():
    settings = split("column", column="sire", validation=["s4", "s5"], test=["s1"])
    assert settings.problems(table()) == []
    fold = settings.resolve(table())
    assert [part.tolist() for part in fold] == [[2, 3, 4, 5, 8], [6, 7, 9], [0, 1]]


def test_families_may_be_named_for_one_split_only():
    fold = split("family", test=["f4"]).resolve(table())
    assert fold.test.tolist() == [8, 9]
    assert len(fold.validation) == 2


FEW = "at least 3 are needed, one each to train, to validate and to test."
ALONE = (
    "so this would be a random split, with relatives on both sides. Use by: column with a column that relatives share, "
    "such as their parents, or say by: random."
)


@pytest.mark.parametrize(
    ("settings", "path", "message"),
    [
        (split("column", column="sir"), ("column",), "the samples have no column 'sir'. Did you mean 'sire'?"),
        (split("column", column="cage"), ("column",), "the samples have no column 'cage'. There is 'sire' and 'dam'."),
        (
            split("column", column=["sire", "dan"]),
            ("column", 1),
            "the samples have no column 'dan'. Did you mean 'dam'?",
        ),
        (
            split("column", column=PARENTS, test=["s1"]),
            ("test",),
            "a combination of sire and dam has no name. Give a share, e.g. 0.2.",
        ),
        (split("family", test=["ff1"]), ("test", 0), "no sample has the family ID 'ff1'. Did you mean 'f1'?"),
        (
            split("family", test=["f1", "0"]),
            ("test", 1),
            "no sample has the family ID '0'. There is 'f1', 'f2', 'f3' and",
        ),
        (
            split("column", column="sire", test=["x"]),
            ("test", 0),
            "no sample has the sire 'x'. There is 's1', 's2', 's3'",
        ),
        (
            split("family", validation=["f1"], test=["f2", "f1"]),
            ("test", 1),
            "'f1' is in validation too; a group belongs to one split.",
        ),
        (split("family", validation=["f1", "f1"]), ("validation", 1), "'f1' is named twice."),
        (split("family", test=[]), ("test",), "no group is named, so the split is empty. Name one, or give a share."),
        (
            split("family", test=["f1", "f2", "f3", "f4"]),
            ("validation",),
            "no group is left for it: test names them all. Name fewer there.",
        ),
        (
            split("family", validation=["f1", "f2", "f3", "f4"]),
            ("test",),
            "no group is left for it: validation names them all. Name fewer there.",
        ),
    ],
)
def test_a_fault_is_found_and_told(settings, path, message):
    problem = only(settings.problems(table()))
    assert problem.path == path
    assert problem.message.startswith(message)


def test_all_faults_of_names_come_at_once():
    assert len(split("family", validation=["x", "f1"], test=["f1", "f1", "y"]).problems(table())) == 4
    assert len(split("column", column=["a", "b"]).problems(table())) == 2


def test_names_that_take_every_group_leave_nothing_to_train_on():
    samples = table(["f1", "f1", "f2", "f3"])
    message = "validation and test take all 3 groups, so train is empty. Free one."
    assert split("family", validation=["f1"], test=["f2", "f3"]).problems(samples) == [Problem((), message)]
    assert split("family", test=["f2", "f3"]).problems(samples) == [Problem((), message)]
    assert split("family", test=["f2", "f3"]).problems(table(["f1", "f1", "f2", "f3", "0"])) == []


def test_fewer_than_three_groups_are_too_few():
    cages = table(cage=["a", "b", *[""] * 8], none=[""] * 10, one=["a"] * 10)
    for column, found in (
        ("cage", "found 2 groups of samples with the same cage"),
        ("one", "found 1 group of samples with the same one"),
        ("none", "found 0 groups of samples with the same none"),
    ):
        assert only(split("column", column=column).problems(cages)) == Problem(("column",), f"{found}; {FEW}")
    pairs = table(sire=["s1"] * 10, dam=["d1", "d2"] * 5)
    found = "found 2 groups of samples with the same sire and dam"
    assert only(split("column", column=PARENTS).problems(pairs)) == Problem(("column",), f"{found}; {FEW}")
    assert only(split("family").problems(table(["f1", "f2", "f1", "0"]))) == Problem(
        ("by",), f"found 2 groups of samples with the same family ID; {FEW}"
    )
    message = "found 2 samples; at least 3 are needed."
    assert split("random").problems(table(["0", "0"])) == [Problem(("by",), message)]


def test_a_group_for_every_sample_is_called_a_random_split():
    alone = [f"f{index}" for index in range(400)]
    expected = f"every sample has a family ID of its own, {ALONE}"
    assert split("family").problems(table([*alone, "0"])) == [Problem(("by",), expected)]
    expected = f"nearly every sample has a family ID of its own, {ALONE}"
    assert split("family").problems(table([*alone, "f0", "f1"])) == [Problem(("by",), expected)]
    assert split("family").problems(table([*alone, *alone[:100]])) == []
    expected = f"every sample has a tag of its own, {ALONE}"
    assert split("column", column="tag").problems(table(tag=list("abcdefghij"))) == [Problem(("column",), expected)]


def test_families_that_are_all_zero_are_none():
    message = (
        "no sample has a family ID (every FID is 0 or empty). Use by: column with a column that relatives share, such "
        "as their parents, or say by: random."
    )
    assert split("family").problems(table(["0"] * 8 + [""] * 2)) == [Problem(("by",), message)]


def test_shares_that_leave_nothing_are_refused():
    message = r"validation \(0.7\) and test \(0.3\) leave nothing to train on; their sum must be less than 1."
    for by in ({"by": "column", "column": "sire"}, {"by": "family"}, {"by": "random"}):
        with pytest.raises(ValidationError, match=message):
            split(**by, validation=0.7, test=0.3)
    assert split("family", validation=0.6, test=0.3).validation == 0.6


def test_a_random_split_takes_no_names():
    with pytest.raises(ValidationError, match=r"found a list of 1; must be a share of the samples between 0 and 1"):
        split("random", test=["f1"])


def test_a_negative_seed_is_refused():
    with pytest.raises(ValidationError, match="greater than or equal to 0"):
        split("random", seed=-1)


@pytest.mark.parametrize(
    ("settings", "note"),
    [
        (
            split("column", column=PARENTS),
            "2 samples have no sire or dam: they train, since their relatives may be in any split.",
        ),
        (split("column", column="sire"), "1 sample has no sire: it trains, since its relatives may be in any split."),
        (split("family"), "2 samples have no family ID: they train, since their relatives may be in any split."),
    ],
)
def test_samples_without_a_group_are_counted(settings, note):
    assert settings.notes(table()) == (note,)


def test_a_split_without_anything_odd_has_no_note():
    assert split("family").notes(table(["f1", "f1", "f2", "f2", "f3", "f3", "f4", "f4", "f5", "f5"])) == ()


def test_a_random_split_says_what_its_score_means():
    assert split("random").notes(table()) == (
        "by: random puts relatives, and people of one population or batch, on both sides of the split. The score then "
        "says how well the model recognises relatives, not how well it predicts for new families. Use by: family or "
        "by: column where you can.",
    )


def test_groups_too_large_for_a_share_are_told():
    samples = table(["f1"] * 30 + ["f2"] * 30 + ["f3"] * 40)
    notes = split("family", validation=0.35, test=0.1).notes(samples)
    assert notes == (
        "test holds 30 of 100 samples, where 0.1 of them was asked for: groups are taken whole. Another seed may come "
        "nearer.",
    )


def test_half_siblings_that_are_parted_are_told():
    litters = [f"d{index // 2}" for index in range(40)]
    samples = table(["0"] * 40, sire=["s1"] * 40, dam=litters)
    assert split("column", column="dam").notes(samples) == ()
    assert split("column", column=PARENTS).notes(samples) == (
        "values that are in more than one split: 1 of 1 in sire. A group is a combination of sire and dam; samples "
        "that share only one of these (half siblings) may be parted.",
    )
