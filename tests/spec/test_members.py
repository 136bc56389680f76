"""One file, several sweeps: who they are, what the spec of each says, and what contradicts itself."""

import pytest

from genotune.errors import SpecError
from genotune.spec import GroupSpec, Spec, read_spec, read_sweeps

TEXT = """\
name: mice
data:
  kind: plink
  genotypes: mice.bed
  phenotypes: mice.tsv
  trait: [CD8, body mass]
  winners: each
split:
  by: column
  column: [sire, dam]
  outer_folds: 2
  validation: 0.2
  seed: 7
models:
  - family: ridge
search: {kind: random, seed: 1}
scheduler: {kind: asha, max_epochs: 4, reduction_factor: 2}
budget: {trials: 3}
"""
ONE_TRAIT = ("  trait: [CD8, body mass]\n  winners: each\n", "  trait: CD8\n")
ONE_SPLIT = ("  outer_folds: 2\n", "  test: 0.2\n")


@pytest.fixture
def read(tmp_path):
    """What the text describes, with each pair of changes made in it."""

    def call(*changes):
        text = TEXT
        for old, new in changes:
            assert old in text, old
            text = text.replace(old, new)
        path = tmp_path / "mice.yaml"
        path.write_text(text)
        return read_sweeps(path)

    return call


def test_each_trait_meets_each_outer_fold(read):
    group = read()
    assert isinstance(group, GroupSpec)
    assert group.name == "mice"
    told = [(member.name, member.trait, member.outer_fold) for member in group.members]
    assert told == [
        ("CD8-fold-1", "CD8", 1),
        ("CD8-fold-2", "CD8", 2),
        ("body-mass-fold-1", "body mass", 1),
        ("body-mass-fold-2", "body mass", 2),
    ]
    for member in group.members:
        settings = member.spec.settings
        assert settings.name == f"mice-{member.name}"
        assert (settings.data.trait, settings.data.winners) == ((member.trait,), "one")
        assert (settings.split.outer_folds, settings.split.outer_fold) == (2, member.outer_fold)
        assert settings.split.column == ("sire", "dam")


def test_the_spec_of_a_member_is_a_whole_file_that_runs_alone(read, tmp_path):
    for member in read().members:
        (tmp_path / "alone.yaml").write_text(member.spec.text)
        alone = read_sweeps(tmp_path / "alone.yaml")
        assert isinstance(alone, Spec)
        assert alone.settings == member.spec.settings
        assert read_spec(tmp_path / "alone.yaml").settings == alone.settings


@pytest.mark.parametrize(("change", "names"), [(ONE_TRAIT, ["fold-1", "fold-2"]), (ONE_SPLIT, ["CD8", "body-mass"])])
def test_traits_and_folds_make_a_group_without_each_other(read, change, names):
    assert [member.name for member in read(change).members] == names


def test_one_trait_and_one_split_are_a_plain_sweep(read):
    assert isinstance(read(ONE_TRAIT, ONE_SPLIT), Spec)


def test_one_outer_fold_that_is_named_is_a_plain_sweep(read):
    spec = read(ONE_TRAIT, ("outer_folds: 2", "outer_folds: 2\n  outer_fold: 2"))
    assert isinstance(spec, Spec)
    assert spec.settings.name == "mice"


@pytest.mark.parametrize(
    ("changes", "lines"),
    [
        ([("outer_folds: 2", "outer_folds: 2\n  test: 0.2")], ["12: split.test: stands beside outer_folds, which"]),
        ([("[CD8, body mass]", "CD8")], ["7: data.winners: found each, which wants several traits in data.trait"]),
        ([("[CD8, body mass]", "[CD8]")], ["7: data.winners: found each, which wants several traits"]),
        ([("body mass]", "CD8]")], ["6: data.trait[1]: CD8 is named twice. Remove one."]),
        ([("body mass]", "7]")], ["6: data.trait[1]: found 7; expected the name of a column, in quotation marks if"]),
        ([("body mass]", '"%"]')], ["6: data.trait[1]: '%' has no letter or digit to call its sweep by."]),
        ([("[CD8, ", "[body-mass, ")], ["6: data.trait[1]: the sweeps of 'body-mass' and 'body mass' would both be"]),
        ([("name: mice", "name: 7")], ["1: name: found 7; expected text: what the group is called."]),
        ([("seed: 7", "sead: 7")], ["13: split.sead: split has no such setting. Did you mean 'seed'?"]),
        (
            [("by: column\n  column: [sire, dam]", "by: family"), ONE_TRAIT, ("folds: 2", "folds: 1")],
            ["9: split.outer"],
        ),
        ([("ridge", "rigde"), ("seed: 7", "seed: -1")], ["13: split.seed: found -1;", "15: family: unknown family"]),
        (
            [("split:", "split: &s"), ("budget: {", "storage: *s\nbudget: {")],
            [" name, data.trait, data.winners, split: an anchor (&) or alias (*) stands in one of these"],
        ),
    ],
)
def test_a_fault_of_all_members_is_told_once_with_its_line(read, tmp_path, changes, lines):
    with pytest.raises(SpecError, match=r"mice\.yaml:") as caught:
        read(*changes)
    found = str(caught.value).splitlines()
    assert len(found) == len(lines), found
    for line, begins in zip(found, lines, strict=True):
        assert line.startswith(f"{tmp_path / 'mice.yaml'}:{begins}"), line
