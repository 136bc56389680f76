import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from data.plink_builders import default_fam, write_fileset

from genotune.data.new_plink_spec import choose_trait, told_kind
from genotune.data.new_spec import write_spec
from genotune.data.sample_table import PhenotypeTable
from genotune.errors import DataError
from genotune.judging import Judge
from genotune.metrics import DEFAULT_METRIC
from genotune.plan import make_plan
from genotune.spec import read_spec

MICE = Path(__file__).parents[2] / "search_spaces" / "demo" / "mouse_hs1940"
N = 60
RNG = np.random.default_rng(5)
HEIGHTS = [f"{value:.3f}" for value in RNG.normal(170, 5, N)]
LONERS = [(f"S{i}", f"I{i}", 0, 0, 1, -9) for i in range(N)]
"""A .fam in which nobody is said to be related."""
OF_KIND = {
    "quantitative": HEIGHTS,
    "binary": [str(i % 2) for i in range(N)],
    "multiclass": [str(i % 3 + 1) for i in range(N)],
    "count": [str(i * i % 40) for i in range(N)],
}


@pytest.fixture
def new(tmp_path):
    """Writes 60 samples and a table of columns, and the spec that is made of them; gives what it says."""

    def write(columns=None, *, fam=None, n_variants=50, trait=None, fids=None, dosage=None):
        dosage = np.ones((N, n_variants), dtype=np.int8) if dosage is None else dosage
        write_fileset(tmp_path, "x", dosage, fam=fam)
        paths = [tmp_path / "x.bed"]
        if columns is not None:
            columns = {"IID": [f"I{i}" for i in range(N)], **columns}
            columns = columns if fids is None else {"FID": fids, **columns}
            rows = ["\t".join(columns), *("\t".join(row) for row in zip(*columns.values(), strict=True))]
            paths.append(tmp_path / "t.tsv")
            paths[1].write_text("".join(f"{row}\n" for row in rows))
        write_spec(paths, tmp_path / "x.yaml", trait=trait)
        return Written(tmp_path / "x.yaml")

    return write


class Written:
    """A spec that was written: its text, what it says, and what would come of it."""

    def __init__(self, path):
        self.text = path.read_text()
        self.says = yaml.safe_load(self.text)
        self.plan = make_plan(read_spec(path))

    def comment(self, key):
        """What stands behind a line."""
        return next(line for line in self.text.splitlines() if line.strip().startswith(f"{key}:")).split("  # ")[1]


def told(*cells):
    return told_kind(np.array(cells))


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["1.5", "2", "NA"], "quantitative"),
        (["0", "1", "-9"], "binary"),
        (["1", "2", "2"], "binary"),
        (["1", "2", "3"], "multiclass"),
        (["0", "7", "40"], "count"),
        (["case", "control", ""], "binary"),
        (["black", "agouti", "white"], "multiclass"),
        (["a"] * 3, None),
        (["4"] * 3, None),
        (["NA", "."], None),
        (["1", "2", "black"], None),
        (list("abcdefghijk"), None),
    ],
)
def test_the_kind_of_a_column_is_told_from_its_cells(cells, kind):
    assert told(*cells) == kind


def table(**columns):
    n = len(next(iter(columns.values())))
    cells = {name: np.array(column) for name, column in columns.items()}
    return PhenotypeTable("t.tsv", None, np.array([f"I{i}" for i in range(n)]), cells, 2)


def test_the_only_column_that_can_be_a_trait_is_taken():
    assert choose_trait(table(name=list("abcdefghijkl"), height=[f"{i}.5" for i in range(12)])) == "height"


def test_kinship_and_covariates_are_no_traits_where_there_is_another():
    columns = {"litter": ["1", "2", "7"], "Sex": ["1", "2", "2"], "AGE": ["3", "4", "9"], "pc1": ["0.1", "2", "3"]}
    assert choose_trait(table(**columns, weight=["20.5", "21", "30"])) == "weight"


def test_a_covariate_is_taken_where_there_is_nothing_else():
    assert choose_trait(table(age=["3", "4", "9"])) == "age"


def test_several_traits_are_listed_with_their_kinds():
    columns = {"CD8": ["0.5", "1", "2"], "ill": ["0", "1", "1"], "sex": ["1", "2", "2"]}
    with pytest.raises(
        DataError, match=r"^t\.tsv: which column is the trait\? Give --trait: CD8 \(quantitative\), ill \(binary\)\.$"
    ):
        choose_trait(table(**columns))


def test_of_many_traits_the_first_are_listed():
    columns = {f"t{i}": ["0.5", "1", "2"] for i in range(15)}
    with pytest.raises(DataError, match=r"t10 \(quantitative\), t11 \(quantitative\) and 3 more\.$"):
        choose_trait(table(**columns))


def test_a_table_without_a_trait_is_refused():
    with pytest.raises(DataError, match=r"^t\.tsv: no column can be a trait; it has 'a' and 'b'\. A trait is numbers"):
        choose_trait(table(a=["1", "1"], b=["NA", "NA"]))


@pytest.mark.parametrize("kind", OF_KIND)
def test_a_trait_of_each_kind_makes_a_spec_that_can_run(new, kind):
    written = new({"t": OF_KIND[kind]})
    assert written.says["data"]["trait_kind"] == kind
    assert written.says["objective"] == {"metric": DEFAULT_METRIC[kind], "split": "validation"}
    assert written.plan.judge == Judge(DEFAULT_METRIC[kind], kind)
    assert list(written.plan.families) == ["boosted_trees", "ridge"]
    assert max(map(len, written.text.splitlines())) <= 120


@pytest.mark.parametrize("kind", OF_KIND)
def test_a_trait_in_the_fam_makes_a_spec_that_can_run(new, kind):
    cells = OF_KIND[kind]
    if kind == "binary":
        cells = [str(int(cell) + 1) for cell in cells]
    fam = [(*row[:5], cell) for row, cell in zip(default_fam(N), cells, strict=True)]
    written = new(fam=fam)
    assert written.says["data"]["trait_kind"] == written.plan.data.target == kind
    assert not {"phenotypes", "trait", "covariates"} & {*written.says["data"]}


def test_a_trait_in_the_fam_may_be_given_a_name(new):
    fam = [(*row[:5], cell) for row, cell in zip(default_fam(N), HEIGHTS, strict=True)]
    written = new(fam=fam, trait="height")
    assert written.plan.data.samples.trait == written.says["data"]["trait"] == "height"


def test_a_fam_without_a_trait_says_what_to_do(new):
    with pytest.raises(
        DataError, match=r"x\.fam: column 6 holds only -9 \(missing\); name a table in data\.phenotypes"
    ):
        new()


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        (OF_KIND["binary"], "told from its two values; predicted is the chance of 1 against 0"),
        (["ill", "well"] * (N // 2), "told from its two values; predicted is the chance of well against ill"),
        (["a", "b", "c"] * (N // 3), "told from its 3 words, a to c"),
        (OF_KIND["multiclass"], "told from its whole numbers, 1 to 3; if they aren't classes: quantitative or count"),
        (OF_KIND["count"], "told from its whole numbers, 0 to 36; if they aren't counts: quantitative"),
        (HEIGHTS, "told from its values, some of which are no whole numbers, or below zero"),
        (["3", "5"] * (N // 2), "told from its two values, which are neither 0/1 nor 1/2; if they are classes: binary"),
    ],
)
def test_how_the_kind_was_told_is_said(new, cells, words):
    assert new({"t": cells}).comment("trait_kind") == words


def test_a_trait_that_the_table_lacks_is_refused_with_the_nearest(new):
    with pytest.raises(
        DataError, match=r"t\.tsv has no column 'heigth'\. Did you mean 'height'\? It is named by --trait"
    ):
        new({"height": HEIGHTS}, trait="heigth")


def test_faults_of_table_and_fileset_come_at_once(tmp_path):
    (tmp_path / "t.tsv").write_text("IID\theight\nI0\t1\t2\n")
    with pytest.raises(DataError, match=r"(?s)t\.tsv:2: 3 cells; .*\n.*x\.bed, .*: no such files"):
        write_spec([tmp_path / "x.bed", tmp_path / "t.tsv"], tmp_path / "x.yaml")


def test_a_trait_named_like_a_number_keeps_its_name(new):
    assert new({"1e5": HEIGHTS}).plan.data.samples.trait == "1e5"


def test_a_table_with_family_ids_of_its_own_is_matched_by_individual(new):
    written = new({"height": HEIGHTS}, fids=["0"] * N)
    assert written.says["data"]["match_by"] == "iid"
    assert len(written.plan.data.samples.rows) == N


def test_covariates_are_named_and_not_used(new):
    columns = {"Sex": ["1", "2"] * 30, "age_weeks": HEIGHTS, "PC1": HEIGHTS, "batch": ["a"] * N, "cage": HEIGHTS}
    written = new({"height": HEIGHTS, **columns}, trait="height")
    assert written.says["data"]["covariates"] == []
    assert written.comment("covariates").endswith("not used unless named here. There is [Sex, age_weeks, PC1]")


def test_covariates_are_explained_where_there_is_none(new):
    assert new({"height": HEIGHTS}).comment("covariates").endswith("known beside the genotype, e.g. sex and age")


@pytest.mark.parametrize(
    ("columns", "column"),
    [
        ({"Sire": "s{2}", "DAM": "d{3}", "litter": "l{4}"}, ["Sire", "DAM"]),
        ({"father": "s{2}", "mother": "d{3}"}, ["father", "mother"]),
        ({"Sire": "s{60}", "Dam": "d{60}", "pair": "p{2}"}, "pair"),
        ({"mother": "m{5}"}, "mother"),
        ({"Litter ID": "l{4}"}, "Litter ID"),
        ({"family": "f{20}"}, "family"),
        ({"fam": "f{30}"}, None),
        ({"family": "f{1}"}, None),
        ({"cage": "c{4}"}, None),
    ],
)
def test_a_column_that_relatives_share_is_found_by_its_name(new, columns, column):
    """'s{2}': s0 for the first two samples, s1 for the next two and so on."""
    cells = {}
    for name, pattern in columns.items():
        letter, size = pattern[0], int(pattern[2:-1])
        cells[name] = [f"{letter}{i // size}" for i in range(N)]
    split = new({"height": HEIGHTS, **cells}, fam=LONERS, trait="height").says["split"]
    assert split.get("column") == column
    assert split["by"] == ("random" if column is None else "column")
    assert (split["validation"], split["test"], split["seed"]) == (0.2, 0.2, 7)


def test_relatives_stay_together_and_their_groups_are_counted(new):
    litters = [f"l{i // 4}" for i in range(N)]
    written = new({"height": HEIGHTS, "litter": litters}, fam=LONERS)
    sides = [{litters[sample] for sample in part} for part in written.plan.fold]
    assert sum(map(len, sides)) == 15
    assert written.comment("column") == "15 groups of samples with the same litter"


def test_parents_in_the_fam_are_used(new):
    fam = [("0", f"I{i}", f"P{i // 3}", f"M{i // 3}", 1, -9) for i in range(N)]
    assert new({"height": HEIGHTS}, fam=fam).says["split"]["column"] == ["father", "mother"]


def test_families_are_used_where_no_column_says_who_is_related(new):
    written = new({"height": HEIGHTS})
    assert written.says["split"]["by"] == "family"
    assert written.comment("by") == "30 families, by the FID of the .fam"


def test_families_are_preferred_to_parents_that_few_samples_have(new):
    trios = [(f"F{i // 3}", f"I{i}", *((f"I{i - 2}", f"I{i - 1}") if i % 3 == 2 else (0, 0)), 1, -9) for i in range(N)]
    assert new({"height": HEIGHTS}, fam=trios).says["split"]["by"] == "family"


def test_a_column_of_half_the_samples_is_better_than_nothing(new):
    litters = [f"l{i // 4}" if i < 40 else "" for i in range(N)]
    assert new({"height": HEIGHTS, "litter": litters}, fam=LONERS).says["split"]["column"] == "litter"


@pytest.mark.parametrize("n_families", [9, 54])
def test_few_large_families_and_many_of_one_are_no_groups(new, n_families):
    fam = [(f"F{i % n_families}", f"I{i}", 0, 0, 1, -9) for i in range(N)]
    assert new({"height": HEIGHTS}, fam=fam).says["split"]["by"] == "random"


def test_a_random_split_comes_with_a_warning_and_what_would_be_better(new):
    text = new({"height": HEIGHTS}, fam=LONERS).text
    assert "# Nothing in the files says who is related." in text
    assert "Better: a column that relatives share" in text


def relatives(n_variants, *, size=4, seed=1):
    """(sample, variant) genotypes of full siblings, so many in a row of the same two parents."""
    rng = np.random.default_rng(seed)
    frequency = rng.uniform(0.2, 0.5, n_variants)
    parents = rng.random((N // size, 2, 2, n_variants)) < frequency
    haplotype = rng.integers(0, 2, (N, 2, n_variants))
    children = np.take_along_axis(parents[np.arange(N) // size], haplotype[:, :, None], axis=2)[:, :, 0]
    return children.sum(axis=1).astype(np.int8)


def test_kin_are_told_from_genotypes_where_no_table_says_who_they_are(new):
    written = new({"height": HEIGHTS}, fam=LONERS, dosage=relatives(2500))
    split = written.says["split"]
    assert split == {"by": "kinship", "degree": 2, "validation": 0.2, "test": 0.2, "seed": 7}
    assert written.comment("by").startswith("15 groups of kin, told from the genotypes")
    families = [{int(sample) // 4 for sample in part} for part in written.plan.fold]
    assert sum(map(len, families)) == 15


def test_nearer_kin_are_taken_where_too_few_variants_tell_farther_ones(new):
    written = new({"height": HEIGHTS}, fam=LONERS, dosage=relatives(900))
    assert (written.says["split"]["by"], written.says["split"]["degree"]) == ("kinship", 1)
    assert written.comment("degree") == "parents, children and full siblings"


def test_the_better_called_of_duplicates_is_kept(new):
    assert new({"height": HEIGHTS}).says["data"]["drop_duplicates"] is True


def test_the_trait_does_not_split_its_samples(new):
    written = new({"litter": OF_KIND["count"]}, fam=LONERS)
    assert (written.says["data"]["trait"], written.says["split"]["by"]) == ("litter", "random")


def test_another_seed_is_taken_where_a_class_would_be_missing(new):
    rare = ["1" if i in (0, 20, 40) else "0" for i in range(N)]
    written = new({"ill": rare}, fam=LONERS)
    assert 7 < written.says["split"]["seed"] <= 26
    assert written.comment("seed") == "of the draw; with seed 7 a split lacks a class of the trait"
    assert all(np.any(written.plan.data.samples.values[part] == 1) for part in written.plan.fold)
    assert "evaluation" not in written.says, "five folds of three cases can't be scored"


def test_a_class_that_no_seed_brings_into_all_splits_is_left_to_check(tmp_path):
    write_fileset(tmp_path, "x", np.ones((N, 3), dtype=np.int8), fam=LONERS)
    rows = "".join(f"I{i}\t{int(i < 2)}\n" for i in range(N))
    (tmp_path / "t.tsv").write_text(f"IID\till\n{rows}")
    text = write_spec([tmp_path / "x.bed", tmp_path / "t.tsv"], tmp_path / "x.yaml")
    assert yaml.safe_load(text)["split"]["seed"] == 7


@pytest.mark.parametrize(
    ("n_variants", "keep", "choices"),
    [
        (1, None, None),
        (2, None, None),
        (3, None, {"choice": [1, None]}),
        (7, None, {"choice": [3, None]}),
        (300, None, {"choice": [100, None]}),
        (20_000, None, {"choice": [8000, None]}),
        (20_001, 20_000, {"choice": [8000, None]}),
    ],
)
def test_no_more_variants_are_tried_than_are_kept(new, n_variants, keep, choices):
    says = new({"height": HEIGHTS}, n_variants=n_variants).says
    assert says["data"]["keep_variants"] == keep
    assert [model["params"].get("n_variants") for model in says["models"]] == [choices, None]


def test_every_line_that_says_something_new_is_explained(new):
    litters = [f"l{i // 4}" for i in range(N)]
    for fam in (LONERS, None):
        for columns in ({"height": HEIGHTS}, {"height": HEIGHTS, "litter": litters}):
            text = new(columns, fam=fam).text
            plain = [line for line in text.splitlines() if "#" not in line]
            assert [line for line in plain if not re.match(r"(name|data|split|  kind|  by|    params):?", line)] == []


def test_the_spec_of_the_mice_keeps_their_litters_together(tmp_path):
    write_spec([MICE / "mouse_hs1940.bed", MICE / "phenotypes.tsv"], tmp_path / "x.yaml", trait="CD8")
    written = Written(tmp_path / "x.yaml")
    assert written.text.startswith(
        "# The best model of CD8 on 12,226 variants of 1,410 samples. Written by `genotune new`"
    )
    assert written.says["split"] == {
        "by": "column",
        "column": ["sire", "dam"],
        "validation": 0.2,
        "test": 0.2,
        "seed": 7,
    }
    assert written.says["data"]["keep_variants"] is None
    assert written.comment("covariates").endswith("There is [male]")
    assert written.plan.judge.metric == "pearson"


def test_the_traits_of_the_mice_are_listed(tmp_path):
    with pytest.raises(DataError, match=r"CD8 \(quantitative\), MCH \(quantitative\), CD8_bin \(binary\)\.$"):
        write_spec([MICE / "mouse_hs1940.bed", MICE / "phenotypes.tsv"], tmp_path / "x.yaml")
