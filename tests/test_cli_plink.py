"""Bad genotypes and traits as a person meets them: told in one plain message with file, place and fix, exit code 2.

Most call what `genotune check` calls; a few start the command itself, which costs a process each.
"""

import re

import numpy as np
import pytest
from data.plink_builders import MAGIC, default_bim, default_fam, packed, write_fileset, write_rows

from genotune.errors import DataError, ResourceError, SpecError, UserError
from genotune.sweep_group import check

N_SAMPLES, N_VARIANTS = 24, 10

SPEC = """\
name: mice
data:
  kind: plink
  genotypes: mice.bed
  phenotypes: traits.tsv
  trait: CD8
split: {by: family, validation: 0.25, test: 0.25}
models:
  - family: boosted_trees
    params:
      max_depth: {int: [2, 4]}
search: {kind: random, seed: 1}
scheduler: {kind: asha, max_epochs: 4, reduction_factor: 2}
budget: {trials: 3}
"""


class Project:
    """A spec, its fileset and its table of traits, to be spoilt."""

    def __init__(self, folder):
        rng = np.random.default_rng(0)
        self.folder = folder
        self.dosage = rng.integers(0, 3, size=(N_SAMPLES, N_VARIANTS))
        self.fam, self.bim = default_fam(N_SAMPLES), default_bim(N_VARIANTS)
        self.table = [("FID", "IID", "CD8", "case", "age")]
        self.table += [(f"F{i // 2}", f"I{i}", f"{rng.normal():.3f}", i // 2 % 2, 30 + i % 5) for i in range(N_SAMPLES)]
        self.spec = folder / "mice.yaml"
        self.text = SPEC
        self.write()

    def write(self):
        write_fileset(self.folder, "mice", self.dosage, fam=self.fam, bim=self.bim)
        write_rows(self.folder / "traits.tsv", self.table, separator="\t")
        self.spec.write_text(self.text)

    def edit(self, *changes):
        """Rewrite the spec: each pair is a text that must be in it, and what it becomes."""
        for old, new in changes:
            assert old in self.text, old
            self.text = self.text.replace(old, new)
        self.write()

    def set_cells(self, column, cells, *, first=1):
        """Cells of a column of the table, from a line of it on."""
        at = self.table[0].index(column)
        for row, cell in enumerate(cells, start=first):
            self.table[row] = (*self.table[row][:at], cell, *self.table[row][at + 1 :])
        self.write()

    def set_fam(self, column, cells):
        """Cells of a column of the .fam, from its first line on."""
        for row, cell in enumerate(cells):
            self.fam[row] = (*self.fam[row][:column], cell, *self.fam[row][column + 1 :])
        self.write()

    def use_fam(self):
        """A spec whose trait stands in the .fam."""
        self.edit(("  phenotypes: traits.tsv\n  trait: CD8\n", ""))

    def refuse(self, message, kind=DataError):
        """What `genotune check` would print is exactly this."""
        with pytest.raises(UserError, match=f"^{message}$") as caught:
            check(self.spec)
        assert type(caught.value) is kind

    def notes(self):
        """What `genotune check` would note of a spec that can run."""
        plan, *_ = check(self.spec)
        return plan.notes


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    return Project(tmp_path)


def refused(result):
    """The lines of what a refused command says, without 'error: '."""
    assert result.returncode == 2, result.stdout + result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    return result.stderr.removeprefix("error: ").splitlines()


def line_of(spec):
    """How a message of the spec begins, as a pattern."""
    return re.escape(str(spec))


def test_a_project_without_faults_can_run(project):
    assert project.notes() == ()


def test_a_bim_with_one_line_too_few_is_told(project):
    write_rows(project.folder / "mice.bim", project.bim[:-1], separator="\t")
    project.refuse(
        r"mice\.bed: its size fits 10 variants of 24 samples, mice\.bim lists 9\. "
        r"The fileset is torn: copy all three files again\."
    )


def test_a_fam_with_lines_too_few_is_told(project):
    write_rows(project.folder / "mice.fam", project.fam[:-4], separator=" ")
    project.refuse(
        r"mice\.bed: its size fits 12 variants of 20 samples, mice\.bim lists 10\..* Or is mice\.fam another's\?.*"
    )


def test_wrong_magic_bytes_are_told(project):
    (project.folder / "mice.bed").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(99))
    project.refuse(
        r"mice\.bed: begins with 89 50 4e; not a PLINK \.bed \(6c 1b 01\)\. Name the \.bed of a PLINK fileset\."
    )


def test_a_sample_major_bed_is_told_with_its_conversion(project):
    (project.folder / "mice.bed").write_bytes(MAGIC[:2] + b"\0" + packed(project.dosage))
    project.refuse(
        r"mice\.bed: a sample-major \.bed of an old PLINK; this version reads variant-major ones\. "
        r"Write it again: plink --bfile mice --keep-allele-order --make-bed --out mice-new \(PLINK 1\.9\)"
    )


def test_a_bed_that_is_cut_short_is_told(project):
    path = project.folder / "mice.bed"
    path.write_bytes(path.read_bytes()[:-1])
    project.refuse(r"mice\.bed: its size is no whole number of variants of 24 samples .* copy all three files again\.")


def test_a_fam_with_phenotypes_of_its_own_is_told_where_they_belong(project):
    project.fam = [(*row, 0.2, 0.3, "NA", 1, "NA") for row in project.fam]
    project.write()
    project.refuse(
        r"mice\.fam:1: 11 columns; a \.fam has 6 \(family, individual, father, mother, sex, phenotype\)\. "
        r"Put further phenotypes into a table and name it in data\.phenotypes\. And 23 more\."
    )


def test_ids_that_match_nowhere_are_told_with_one_of_each(project):
    project.set_cells("IID", [f"mouse{i}" for i in range(N_SAMPLES)])
    project.refuse(
        r"traits\.tsv: no sample of mice\.fam is in it by FID and IID: it has 'F0 mouse0', mice\.fam has 'F0 I0'\. "
        r"Write the IDs of the \.fam into the table\."
    )


def test_ids_that_match_but_for_the_family_get_a_fix_that_works(project):
    project.set_cells("FID", ["0"] * N_SAMPLES)
    project.refuse(r"traits\.tsv: no sample of mice\.fam .* 24 of 24 match: set data\.match_by: iid\.")
    project.edit(("  trait: CD8\n", "  trait: CD8\n  match_by: iid\n"))
    assert project.notes() == ()


def test_a_sample_that_stands_twice_in_the_fam_is_told(project):
    project.fam[5] = project.fam[1]
    project.write()
    project.refuse(r"mice\.fam:6: family 'F0', individual 'I1' stands in line 2 too; a sample has one line\.")


def test_a_sample_that_stands_twice_in_the_table_is_told(project):
    project.table.append(project.table[3])
    project.write()
    project.refuse(r"traits\.tsv:26: FID 'F1', IID 'I2' stands in line 4 too; a sample has one row\. Delete one\.")


def test_a_trait_with_one_value_is_told(project):
    project.set_cells("CD8", ["1.5"] * N_SAMPLES)
    project.refuse(r"traits\.tsv: CD8: all 24 values are 1\.5; a trait that doesn't vary can't be learned\.")


def test_a_trait_with_text_in_it_is_told_with_its_line(project):
    project.set_cells("CD8", ["n.d."], first=7)
    project.refuse(
        r"traits\.tsv: CD8: text where numbers are wanted: 'n\.d\.' \(traits\.tsv:8\)\. "
        r"Mark missing values by NA, or set data\.trait_kind: multiclass if these are classes\."
    )


def test_samples_without_a_value_are_dropped_and_counted(project):
    project.set_cells("CD8", ["NaN", "NA", "-9"])
    assert project.notes() == (
        "CD8: missing in 3 of 24 samples (-9 1, NA 1, NaN 1); they are left out. "
        "If -9 is a value, set data.missing: [NA].",
    )


def test_a_fam_that_holds_only_minus_nine_is_told(project):
    project.use_fam()
    project.refuse(
        r"mice\.fam: column 6 holds only -9 \(missing\); "
        r"name a table in data\.phenotypes and its column in data\.trait\."
    )


def test_some_minus_nine_in_a_fam_are_dropped_and_counted(project):
    project.use_fam()
    project.set_fam(5, ["-9", "-9", *(f"{i / 7:.2f}" for i in range(N_SAMPLES - 2))])
    assert project.notes() == ("phenotype: missing in 2 of 24 samples (-9 2); they are left out.",)


@pytest.mark.parametrize("position", [-9, 0])
def test_variants_without_a_position_are_kept_and_counted(project, position):
    project.bim[2] = (*project.bim[2][:3], position, "A", "G")
    project.write()
    assert project.notes() == (
        "mice.bim: 1 of 10 variants have no position (0 or less); they are used, but lie on no interval.",
    )


def test_a_trial_that_fits_no_machine_is_told(project):
    project.edit(("budget:", "resources: {boosted_trees: {cpus: 4096}}\nbudget:"))
    project.refuse(
        line_of(project.spec)
        + r": resources\.boosted_trees: a trial asks for 4096 CPUs, 0 GPUs; the largest machine has "
        r"\d+ CPUs, .*\(this machine\)\. Ask for less, or give --address of a larger cluster\. "
        r"Of one that starts machines when they are needed, --cluster FILE names the node types\.",
        kind=ResourceError,
    )


def test_an_unknown_trait_is_told_with_a_likely_one(project):
    project.edit(("trait: CD8", "trait: CD9"))
    project.refuse(r"traits\.tsv has no column 'CD9'\. Did you mean 'CD8'\? It is named in data\.trait\.")


@pytest.mark.parametrize("ending", ["bed", "bim", "fam"])
def test_a_missing_file_of_the_fileset_is_told(project, ending):
    (project.folder / f"mice.{ending}").unlink()
    project.refuse(rf"mice\.{ending}: no such file; a PLINK fileset is three files: mice\.bed, mice\.bim, mice\.fam\.")


def test_a_missing_table_is_told_with_where_it_was_looked_for(project):
    path = project.folder / "traits.tsv"
    path.unlink()
    project.refuse(
        rf"traits\.tsv: no such file \(looked for {line_of(path)}\)\. Paths are relative to the spec's folder\."
    )


def test_covariates_that_say_the_same_are_told_with_their_table(project):
    project.table = [(*row, "months" if row[0] == "FID" else 12 * row[4]) for row in project.table]
    project.edit(("  trait: CD8\n", "  trait: CD8\n  covariates: [age, months]\n"))
    project.refuse(r"traits\.tsv: data\.covariates: 'months' is constant or a sum of multiples .* Remove it, or .*")


def test_a_covariate_that_is_the_trait_is_warned_of(project):
    project.table = [(*row, "copy" if row[0] == "FID" else float(row[2]) * 2) for row in project.table]
    project.edit(("  trait: CD8\n", "  trait: CD8\n  covariates: [copy]\n"))
    assert project.notes()[0].startswith("data.covariates: 'copy' tells CD8 without an error.")


def test_more_covariates_than_training_samples_are_told_at_their_line(project):
    names = [f"PC{i}" for i in range(14)]
    rng = np.random.default_rng(1)
    project.table = [
        (*row, *(names if row[0] == "FID" else rng.normal(size=14).round(3).tolist())) for row in project.table
    ]
    project.edit(("  trait: CD8\n", f"  trait: CD8\n  covariates: [{', '.join(names)}]\n"))
    message = r":7: data\.covariates: found 14 columns for 12 training samples; they would explain any trait .*"
    project.refuse(line_of(project.spec) + message, SpecError)


def test_folds_that_a_rare_class_cant_fill_are_refused_where_they_are_asked_for(project):
    """Five cases: else a sweep would end without a score that could be compared."""
    project.set_cells("case", [1 if i in (2, 7, 13, 18, 22) else 0 for i in range(N_SAMPLES)])
    project.edit(("trait: CD8", "trait: case"), ("0.25, test: 0.25", "[F1, F3], test: [F9, F11]"))
    notes = project.notes()
    assert notes[-1].startswith("case 1: 1 in train, 2 in validation, 2 in test. So few teach little and judge worse:")
    for section, line in (("evaluation", 15), ("trials", 15)):
        text = project.text
        project.edit(("budget: {trials: 3}\n", f"budget: {{trials: 3}}\n{section}: {{folds: 4}}\n"))
        project.refuse(
            line_of(project.spec)
            + rf":{line}: {section}\.folds: found 4; of fold \d of 4, (train|validation) holds no "
            r"sample with case 1: its \d+ samples can't tell the classes apart\. Ask for fewer\.",
            SpecError,
        )
        project.text = text


def test_a_split_by_contig_is_told_what_samples_are_split_by(project):
    project.edit(("{by: family, validation: 0.25, test: 0.25}", "{by: contig, validation: [chr1], test: [chr2]}"))
    project.refuse(
        line_of(project.spec) + r":7: split\.by: found contig; the source plink is split by samples: "
        r"write by: column, family or random\.",
        kind=SpecError,
    )


@pytest.mark.parametrize("trait", ["CD8", "CD8\n  trait_kind: quantitative"])
def test_a_metric_of_classes_is_refused_for_a_number(project, trait):
    project.edit(("trait: CD8", f"trait: {trait}"), ("budget:", "objective: {metric: auroc}\nbudget:"))
    project.refuse(
        line_of(project.spec) + r":\d+: objective\.metric: auroc is for a binary target, this one is quantitative\. "
        r"Allowed: pearson, spearman, r2, mse, mae\.",
        kind=SpecError,
    )


@pytest.mark.parametrize("trait", ["case", "case\n  trait_kind: binary"])
def test_a_metric_of_numbers_is_refused_for_classes(project, trait):
    project.edit(("trait: CD8", f"trait: {trait}"), ("budget:", "objective: {metric: pearson}\nbudget:"))
    project.refuse(
        line_of(project.spec) + r":\d+: objective\.metric: pearson is for a count, quantitative or signal target, "
        r"this one is binary\. Allowed: auroc, .*log_loss, brier\.",
        kind=SpecError,
    )


def test_a_split_without_one_of_the_classes_is_told(project):
    named = "validation: [F0, F2], test: [F1, F4]"
    project.edit(("trait: CD8", "trait: case"), ("validation: 0.25, test: 0.25", named))
    project.refuse(
        line_of(project.spec) + r":7: split\.validation: validation holds no sample with case 1: "
        r"its 4 samples can't tell the classes apart\. Give it more, or try another seed\.",
        kind=SpecError,
    )


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (
            "{max_p: {uniform: [0.1, 1]}, rank_by: {choice: [association, summary]}}",
            r"params\.prepare\.rank_by\.choice\[1\]: found summary; there is no other study\. Name its table in "
            r"data\.summary_statistics\.",
        ),
        (
            "{choice: [null, {prune: {choice: [{r2: 0.5}, {window_bp: 9, window_variants: {int: [2, 5]}}]}}]}",
            r"params\.prepare\.choice\[1\]\.prune\.choice\[1\]: window_bp and window_variants are two ways to say one "
            r"thing\. Remove one\.",
        ),
        (
            "{components: {int: [0, 12]}}",
            r"params\.prepare\.components: found 12; 12 training samples of 10 variants have fewer principal "
            r"components\. Ask for fewer\.",
        ),
        (
            "{rank_by: {choice: [{kind: trees, rounds: {int: [0, 5]}}]}}",
            r"params\.prepare\.rank_by\.choice\[0\]\.rounds: found 0; must be at least 1\.",
        ),
    ],
)
def test_a_space_of_preparations_is_refused_at_the_line_of_the_draw_that_does_not_fit(project, prepare, message):
    project.edit(("max_depth: {int: [2, 4]}", f"prepare: {prepare}"))
    project.refuse(line_of(project.spec) + ":11: " + message, kind=SpecError)


def test_a_family_that_reads_sequence_names_the_column_and_the_families_that_can(project):
    project.edit(("family: boosted_trees\n    params:\n      max_depth: {int: [2, 4]}", "family: poisson_cnn"))
    project.refuse(
        line_of(project.spec) + r":9: family: poisson_cnn needs the columns 'sequence', 'signal', which this source "
        r"doesn't give\. Families that can use it: boosted_trees, ridge, elastic_net, genotype_cnn, covariates_only\.",
        kind=SpecError,
    )


def test_more_variants_than_there_are_is_told(project):
    project.edit(("max_depth: {int: [2, 4]}", "n_variants: 11"))
    project.refuse(
        line_of(project.spec) + r":11: params\.n_variants: found 11; at most 10 variants are kept "
        r"\(data\.keep_variants\)\. Use fewer\.",
        kind=SpecError,
    )


def test_bins_and_wrong_settings_of_the_source_are_told_at_once(project):
    project.edit(
        (
            "trait: CD8",
            "trait: CD8\n  trait_knd: binary\n  keep_variants: 0\n  filters: {min_maf: 0.7}\n  missing: [true]",
        )
    )
    with pytest.raises(SpecError, match="trait_knd") as caught:
        check(project.spec)
    found = [line.removeprefix(f"{project.spec}:") for line in caught.value.lines]
    assert [re.sub(r"^\d+: ([^:]*): .*", r"\1", line) for line in found] == [
        "data.trait_knd",
        "data.keep_variants",
        "data.filters.min_maf",
        "data.missing[0]",
    ]
    assert "Did you mean 'trait_kind'?" in found[0]


def test_faults_of_the_spec_come_at_once_through_the_command(project, genotune):
    project.edit(
        ("{by: family, validation: 0.25, test: 0.25}", "{by: contig, validation: [chr1], test: [chr2]}"),
        ("trait: CD8", "trait: CD8\n  trait_kind: quantitative"),
        ("search:", "  - family: poisson_cnn\nsearch:"),
        ("budget:", "objective: {metric: auroc, bin_bp: 16}\nbudget:"),
    )
    lines = refused(genotune("check", project.spec))
    starts = [":8: split.by: ", ":13: family: ", ":16: objective.bin_bp: ", ":16: objective.metric: "]
    assert [line.startswith(f"{project.spec}{start}") for line, start in zip(lines, starts, strict=True)] == [True] * 4


def test_faults_of_all_files_come_at_once_through_the_command(project, genotune):
    project.edit(("trait: CD8", "trait: CD9\n  covariates: [ages]"))
    write_rows(project.folder / "mice.fam", [(*row, 7) for row in project.fam], separator=" ")
    write_rows(project.folder / "mice.bim", [(*row[:3], "?", *row[4:]) for row in project.bim], separator="\t")
    assert refused(genotune("check", project.spec)) == [
        "traits.tsv has no column 'CD9'. Did you mean 'CD8'? It is named in data.trait.",
        "traits.tsv has no column 'ages'. Did you mean 'age'? It is named in data.covariates.",
        "mice.fam:1: 7 columns; a .fam has 6 (family, individual, father, mother, sex, phenotype). "
        "Put further phenotypes into a table and name it in data.phenotypes. And 23 more.",
        "mice.bim:1: position '?'; column 4 is a whole number of bp (0 where it is unknown).",
    ]


def test_a_trial_that_fits_no_machine_ends_the_command_with_2(project, genotune):
    project.edit(("budget:", "resources: {boosted_trees: {cpus: 4096}}\nbudget:"))
    (line,) = refused(genotune("check", project.spec))
    assert f"{project.spec}: resources.boosted_trees: a trial asks for 4096 CPUs" in line


def test_what_is_dropped_or_without_a_place_is_noted_by_the_command(project, genotune):
    project.set_cells("CD8", ["NaN", "NaN"])
    project.bim[2], project.bim[3] = (1, "rs2", 0, -9, "A", "G"), (1, "rs3", 0, 0, "A", "G")
    project.write()
    result = genotune("check", project.spec)
    assert (result.returncode, result.stderr) == (0, "")
    assert "note CD8: missing in 2 of 24 samples (NaN 2); they are left out.\n" in result.stdout
    assert "note mice.bim: 2 of 10 variants have no position (0 or less); they are used, " in result.stdout
    assert re.search(r"^split +CD8 +groups +samples$", result.stdout, re.MULTILINE)
    assert re.search(r"^validation +\S+ ± \S+ +3 +6$", result.stdout, re.MULTILINE)
