"""Lists of samples as PLINK's --keep and --remove take them."""

import numpy as np
import pytest
from data.plink_project import N_SAMPLES, Project, read

from genotune.data.files import locate
from genotune.data.plink_files import FamTable
from genotune.data.sample_lists import choose_samples
from genotune.errors import DataError


def fam(fids=("F0", "F0", "F1", "F2"), iids=("a", "b", "a", "c")):
    unknown = np.full(len(iids), "0")
    return FamTable(np.array(fids), np.array(iids), unknown, unknown, unknown)


def chosen(folder, *, keep=None, drop=None, samples=None):
    files = {}
    for name, text in (("keep", keep), ("drop", drop)):
        if text is not None:
            (folder / f"{name}.txt").write_text(text)
        files[name] = None if text is None else locate(folder, f"{name}.txt")
    return choose_samples(samples or fam(), fam_label="x.fam", **files)


@pytest.mark.parametrize(
    "text",
    [
        "F0 b\nF2 c\n",
        "F2\tc\n\nF0\tb\nF0 b",
        "#FID\tIID\nF0\tb\nF2\tc\n",
        "FID IID\nF0 b\nF2 c\n",
        "#IID\nb\nc\n",
        "b\nc\n",
        "F0 b 0 0 1 -9\nF2 c 0 0 2 -9\n",
        "\ufeffF0 b\r\nF2 c\r\n",
    ],
)
def test_samples_are_named_by_family_and_individual_or_the_latter_alone(tmp_path, text):
    found = chosen(tmp_path, keep=text)
    assert found.flags.tolist() == [False, True, False, True]
    assert found.notes == ("keep.txt: 2 of 4 samples are kept.",)


def test_one_list_keeps_and_the_other_drops_and_unknown_samples_are_counted(tmp_path):
    found = chosen(tmp_path, keep="F0 a\nF0 b\nF1 a\nF9 z\n", drop="F1 a\nF8 y\nF8 x\n")
    assert found.flags.tolist() == [True, True, False, False]
    assert found.notes == (
        "keep.txt: 3 of 4 samples are kept; 1 others that it names are not in x.fam.",
        "drop.txt: 1 of 4 samples are dropped; 2 others that it names are not in x.fam.",
    )


def test_where_nobody_has_a_family_the_individual_tells(tmp_path):
    samples = fam(("0", "0"), ("a", "b"))
    assert chosen(tmp_path, keep="F7 b\n", samples=samples).flags.tolist() == [False, True]


def test_without_lists_everybody_stays_and_nothing_is_said(tmp_path):
    found = chosen(tmp_path)
    assert (found.flags.all(), found.notes) == (True, ())


@pytest.mark.parametrize(
    ("lists", "message"),
    [
        (
            {"keep": "F0 z\n"},
            r"^keep\.txt: none of its 1 samples is in x\.fam by FID and IID: it has 'F0 z', x\.fam has ",
        ),
        (
            {"drop": "z\n"},
            r"^drop\.txt: none of its 1 samples is in x\.fam by IID: it has 'z', x\.fam has 'a'\. A line ",
        ),
        (
            {"keep": "a\n"},
            r"^keep\.txt: IID 'a' stands in the families 'F0' and 'F1' of x\.fam, so it doesn't .*Write FID",
        ),
        ({"keep": "F0 b\n", "drop": "F0 b\n"}, r"^keep\.txt and drop\.txt: leave no sample of x\.fam\. Is a list the "),
        (
            {"keep": "F0 b\nc\n"},
            r"^keep\.txt:2: 1 column, and 2 in the lines before; each line has FID and IID, or each",
        ),
        ({"keep": "b\nF2 c\n"}, r"^keep\.txt:2: 2 columns, and 1 in the lines before; each line has FID and IID, or"),
        ({"keep": "#FID IID\n"}, r"^keep\.txt: names no sample\. A line has FID and IID, or IID alone\.$"),
        ({"keep": ""}, r"^keep\.txt: the file is empty\.$"),
        ({"keep": "F0\0b\n"}, r"^keep\.txt: not text: it holds zero bytes\."),
    ],
)
def test_a_list_that_names_nobody_surely_is_refused(tmp_path, lists, message):
    with pytest.raises(DataError, match=message):
        chosen(tmp_path, **lists)


def test_a_list_that_is_not_there_is_told_with_where_it_was_looked_for(tmp_path):
    with pytest.raises(
        DataError, match=r"^no\.txt: no such file \(looked for .*no\.txt\)\. Paths are relative to the "
    ):
        choose_samples(fam(), keep=locate(tmp_path, "no.txt"), drop=None, fam_label="x.fam")


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path)


def test_a_sweep_knows_only_the_samples_that_are_left(project):
    (project.folder / "some.txt").write_text("".join(f"F{i // 2} I{i}\n" for i in range(20)) + "F99 I99\n")
    (project.folder / "bad.txt").write_text("I3\n")
    plan = project.plan(keep_samples="some.txt", drop_samples="bad.txt")
    left = [i for i in range(20) if i != 3]
    assert plan.samples.ids[:, 1].tolist() == [f"I{i}" for i in left]
    assert plan.notes[:2] == (
        "some.txt: 20 of 24 samples are kept; 1 others that it names are not in mice.fam.",
        "bad.txt: 1 of 24 samples are dropped.",
    )
    assert {"kept samples", "dropped samples"} <= {*plan.files}
    store = read(plan).store
    assert store.n_samples == 19
    place = {name: column for column, (_, name, *_) in enumerate(project.bim)}
    columns = [place[name] for name in store.variants.ids.tolist()]
    np.testing.assert_array_equal(store.dosage, project.dosage[left][:, columns])


def test_a_table_without_the_samples_that_are_left_is_told(project):
    (project.folder / "some.txt").write_text("F0 I0\n")
    for column in project.columns.values():
        del column[0]
    project.refuse(
        r"traits\.tsv: has no row of the samples that data\.keep_samples and data\.drop_samples leave\.",
        keep_samples="some.txt",
    )


def test_a_trait_of_the_fam_is_told_of_the_samples_that_are_left(project):
    (project.folder / "bad.txt").write_text("F0 I0\n")
    values = ["x", *[f"{i / 7:.3f}" for i in range(1, N_SAMPLES)]]
    plan = project.plan_of_fam(*values, drop_samples="bad.txt")
    assert len(plan.samples.values) == N_SAMPLES - 1
