"""What PLINK 2 says of the same files."""

import csv
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from data.one_training_set import block_statistics, sets_of_one
from data.plink_builders import write_fileset, write_rows

from genotune.data.genotype_opening import open_genotypes
from genotune.data.plink_datasource import DosageReader, StatisticsReader
from genotune.data.plink_settings import PlinkSettings
from genotune.data.variant_statistics import trait_basis
from genotune.genome.hardy_weinberg import hardy_weinberg_p
from genotune.genome.splits import Fold
from genotune.settings import build

PLINK = shutil.which("plink2")
MICE = Path(__file__).parents[2] / "search_spaces" / "demo" / "mouse_hs1940"
N_SAMPLES, N_VARIANTS = 1940, 12_226

pytestmark = [pytest.mark.slow, pytest.mark.skipif(PLINK is None, reason="needs plink2")]


def run_plink(prefix, out, *arguments):
    command = [PLINK, "--bfile", prefix, "--chr-set", "19", "--threads", "1", "--memory", "2048", *arguments]
    subprocess.run([*map(str, command), "--out", str(out)], check=True, capture_output=True, timeout=120)


def report(path):
    """The columns of one of PLINK's tables, by name."""
    with path.open(newline="") as text:
        header, *rows = csv.reader(text, delimiter="\t")
    return {
        name.removeprefix("#"): np.array(cells) for name, cells in zip(header, zip(*rows, strict=True), strict=True)
    }


def exported(path):
    """Names 'id_allele' and (sample, variant) dosages of a .raw; -1 where missing."""
    with path.open() as text:
        names = next(text).rstrip("\n").split("\t")[6:]
        rows = [np.array(line.rstrip("\n").replace("NA", "-1").split("\t")[6:], dtype=np.int8) for line in text]
    return names, np.stack(rows)


def ask_plink(prefix, folder):
    """Dosages, frequencies and Hardy-Weinberg p-values.

    PLINK 2 takes allele 1 of a .bim (column 5) for the alternate one and exports counts of the reference; it is told
    here to count allele 1, which a dosage of ours counts, as PLINK 1 does.
    """
    cells = [line.split() for line in prefix.with_suffix(".bim").read_text().splitlines()]
    (folder / "counted.txt").write_text("".join(f"{row[1]}\t{row[4]}\n" for row in cells))
    count = ["--export", "A", "--export-allele", folder / "counted.txt"]
    run_plink(prefix, folder / "plink", *count, "--freq", "--hardy", "--nonfounders")
    return folder / "plink"


@pytest.fixture(scope="module")
def answer(tmp_path_factory):
    """What PLINK says of all mice and variants.

    It silently leaves out the 1,926 variants at position -9, so these get position 1 in a copy of the .bim. Variants
    that don't vary have one letter for both alleles there, by which PLINK can't know which to count; they get an N as
    allele 2.
    """
    folder = tmp_path_factory.mktemp("mice")
    for ending in (".bed", ".fam"):
        shutil.copy(MICE / f"mouse_hs1940{ending}", folder / f"mice{ending}")
    cells = [line.split() for line in (MICE / "mouse_hs1940.bim").read_text().splitlines()]
    lines = [
        (contig, name, place, "1" if int(position) <= 0 else position, counted, "N" if other == counted else other)
        for contig, name, place, position, counted, other in cells
    ]
    write_rows(folder / "mice.bim", lines, separator="\t")
    return ask_plink(folder / "mice", folder)


@pytest.fixture(scope="module")
def plan():
    """Of the file as it is, the trait CD8."""
    values = {
        "kind": "plink",
        "genotypes": "mouse_hs1940.bed",
        "phenotypes": "phenotypes.tsv",
        "trait": "CD8",
        "covariates": ["male"],
        "filters": {"min_maf": 0, "min_call_rate": 0},
    }
    return build(PlinkSettings, values).plan(MICE)


def dosage_of(plan):
    reader = DosageReader(plan.genotypes.decoder, np.arange(N_SAMPLES))
    return reader.decode(np.arange(N_VARIANTS))


def statistics_of(plan, rows, *, basis):
    reader = StatisticsReader(plan.genotypes.decoder, rows, sets_of_one(basis))
    return reader.statistics(reader.table(np.arange(N_VARIANTS)), 0)


def no_trait(n):
    return trait_basis(np.zeros(n), np.empty((n, 0), dtype=np.float32), kind="quantitative")


def test_all_dosages_and_counted_alleles_equal_the_export_of_plink(answer, plan):
    names, dosage = exported(answer.with_suffix(".raw"))
    ids, counted = plan.variants.ids, plan.variants.counted
    assert names == [f"{name}_{allele}" for name, allele in zip(ids, counted, strict=True)]
    assert dosage.shape == (N_SAMPLES, N_VARIANTS)
    np.testing.assert_array_equal(dosage_of(plan), dosage)


def test_the_store_holds_the_dosages_that_plink_exports(answer, plan):
    names, dosage = exported(answer.with_suffix(".raw"))
    n = len(plan.samples.rows)
    fold = Fold(np.arange(0, n, 2), np.arange(1, n, 4), np.arange(3, n, 4))
    store = plan.read_store_here(fold).store
    assert store.n_variants > 10_000
    place = {name: index for index, name in enumerate(names)}
    order = [place[name] for name in store.variants.names]
    np.testing.assert_array_equal(store.dosage, dosage[np.ix_(plan.samples.rows, order)])
    assert {*names} - {*store.variants.names} == {
        name for name, column in zip(names, dosage[plan.samples.rows[fold.train]].T, strict=True) if len({*column}) == 1
    }


def test_frequencies_and_hardy_weinberg_equal_those_of_plink(answer, plan):
    found = statistics_of(plan, np.arange(N_SAMPLES), basis=no_trait(N_SAMPLES))
    frequencies, hardy = report(answer.with_suffix(".afreq")), report(answer.with_suffix(".hardy"))
    assert frequencies["ID"].tolist() == hardy["ID"].tolist() == plan.variants.ids.tolist()
    assert frequencies["ALT"].tolist() == plan.variants.counted.tolist()
    np.testing.assert_allclose(found.frequency, frequencies["ALT_FREQS"].astype(float), rtol=1e-5)
    p = hardy["P"].astype(float)
    assert len(p) == N_VARIANTS
    assert p.min() < 1e-40
    np.testing.assert_allclose(hardy_weinberg_p(found.n_two, found.n_one, n_none=found.n_none), p, rtol=1e-5)


@pytest.mark.parametrize("covariates", [[], ["male"]])
def test_association_is_that_of_the_linear_regression_of_plink(plan, covariates, tmp_path):
    """r2 = t2 / (t2 + df), the degrees of freedom being samples less variant, intercept and covariates."""
    table = MICE / "phenotypes.tsv"
    model = ["--glm", "hide-covar", "--covar", table, "--covar-name", "male"]
    model = model if covariates else ["--glm", "allow-no-covars"]
    run_plink(
        MICE / "mouse_hs1940", tmp_path / "plink", "--pheno", table, "--pheno-name", "CD8", "--chr", "1-3", *model
    )
    found = report(tmp_path / "plink.CD8.glm.linear")
    facts = plan.samples
    beside = facts.covariates if covariates else facts.covariates[:, :0]
    basis = trait_basis(facts.values, beside, kind="quantitative")
    association = statistics_of(plan, facts.rows, basis=basis).association
    place = {name: index for index, name in enumerate(plan.variants.ids.tolist())}
    has_one = found["T_STAT"] != "NA"
    assert has_one.sum() > 1000
    assert {*found["OBS_CT"].tolist()} == {str(len(facts.rows))}
    squares = found["T_STAT"][has_one].astype(float) ** 2
    df = len(facts.rows) - 2 - len(covariates)
    ours = association[[place[name] for name in found["ID"][has_one].tolist()]]
    np.testing.assert_allclose(ours, squares / (squares + df), rtol=1e-4, atol=1e-9)
    assert ours.max() > 0.01


def test_missing_genotypes_are_those_of_plink(tmp_path):
    rng = np.random.default_rng(0)
    dosage = rng.choice([0, 1, 2, -1], p=[0.5, 0.3, 0.1, 0.1], size=(61, 200))
    bed = write_fileset(tmp_path, "x", dosage)
    names, theirs = exported(ask_plink(bed.with_suffix(""), tmp_path).with_suffix(".raw"))
    assert names[:2] == ["rs0_A", "rs1_A"]
    np.testing.assert_array_equal(theirs, dosage)
    found = block_statistics(dosage.astype(np.int8), no_trait(61))
    frequencies, hardy = report(tmp_path / "plink.afreq"), report(tmp_path / "plink.hardy")
    np.testing.assert_allclose(found.frequency, frequencies["ALT_FREQS"].astype(float), rtol=1e-5)
    assert found.n_called.tolist() == [int(n) // 2 for n in frequencies["OBS_CT"]]
    np.testing.assert_allclose(
        hardy_weinberg_p(found.n_two, found.n_one, n_none=found.n_none), hardy["P"].astype(float), rtol=1e-5
    )


def test_a_pgen_that_plink_makes_of_the_mice_holds_their_dosages_allele_by_allele(answer, plan, tmp_path):
    """`answer` is what PLINK exports of the .bed."""
    subprocess.run(
        [
            PLINK,
            "--bfile",
            answer.with_name("mice"),
            "--chr-set",
            "19",
            "--make-pgen",
            "vzs",
            "--out",
            tmp_path / "mice",
        ],
        check=True,
        capture_output=True,
    )
    genotypes = open_genotypes(tmp_path, "mice.pgen")
    names, dosage = exported(answer.with_suffix(".raw"))
    variants = genotypes.variants
    assert names == [f"{name}_{allele}" for name, allele in zip(variants.ids, variants.counted, strict=True)]
    np.testing.assert_array_equal(variants.counted, plan.variants.counted)
    np.testing.assert_array_equal(
        variants.starts[plan.variants.starts >= 0], plan.variants.starts[plan.variants.starts >= 0]
    )
    np.testing.assert_array_equal(genotypes.samples.iids, plan.genotypes.samples.iids)
    found = genotypes.decoder.decode(np.arange(N_SAMPLES), np.arange(N_VARIANTS))
    assert found.dtype == np.int8
    np.testing.assert_array_equal(found, dosage)
    np.testing.assert_array_equal(found, dosage_of(plan))


@pytest.mark.parametrize("ending", [".vcf.gz", ".bcf"])
def test_a_vcf_that_plink_makes_of_mice_holds_their_dosages(answer, plan, tmp_path, ending):
    kind = {".vcf.gz": ["vcf", "bgz"], ".bcf": ["bcf"]}[ending]
    prefix, out = answer.with_name("mice"), tmp_path / "mice"
    run_plink(prefix, tmp_path / "sorted", "--sort-vars", "--chr", "19", "--make-pgen")
    command = ["--pfile", tmp_path / "sorted", "--chr-set", "19", "--export", *kind, "id-paste=iid", "--out", out]
    subprocess.run([PLINK, *map(str, command)], check=True, capture_output=True)
    genotypes = open_genotypes(tmp_path, f"mice{ending}")
    place = {name: row for row, name in enumerate(plan.variants.ids.tolist())}
    rows = np.array([place[name] for name in genotypes.variants.ids.tolist()])
    assert len(rows) == np.count_nonzero(plan.variants.contigs == "19") > 100
    np.testing.assert_array_equal(genotypes.samples.iids, plan.genotypes.samples.iids)
    np.testing.assert_array_equal(genotypes.variants.counted, plan.variants.counted[rows])
    found = genotypes.decoder.decode(np.arange(N_SAMPLES), np.arange(len(rows)))
    np.testing.assert_array_equal(found, dosage_of(plan)[:, rows])
