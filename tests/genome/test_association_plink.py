"""What PLINK 2's --glm says of the same genotypes and traits.

PLINK prints six digits: a p-value of its stands for anything that is rounded to it, so ours must lie within half of its
last digit and 1e-6 of the value. Its logistic regression (2.00a3) computes in single precision and gives the standard
error of the step before its last; ours is held to 1e-7 by Newton's method in test_association.py, and here to what
those digits are worth.
"""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from data.plink_builders import write_fileset

from genotune.data.plink_datasource import DosageReader
from genotune.data.plink_settings import PlinkSettings
from genotune.genome.association import scan_linear
from genotune.genome.logistic_association import scan_logistic
from genotune.settings import build

PLINK = shutil.which("plink2")
MICE = Path(__file__).parents[2] / "search_spaces" / "demo" / "mouse_hs1940"
N_SAMPLES, N_VARIANTS = 1940, 12_226

pytestmark = [pytest.mark.slow, pytest.mark.skipif(PLINK is None, reason="needs plink2")]


def glm(prefix, folder, *, table, trait, covariates, modifiers=()):
    """Columns of PLINK's report by name, and by variant; alternate alleles are tested, which our dosages count."""
    command = [PLINK, "--bfile", prefix, "--chr-set", "19", "--threads", "1", "--memory", "2048"]
    command += ["--pheno", table, "--pheno-name", trait, "--1", "--vif", "1000000", "--max-corr", "1"]
    command += ["--glm", "hide-covar", "omit-ref", "cols=+beta,-orbeta,+err", *modifiers]
    command += ["--covar", table, "--covar-name", *covariates] if covariates else ["allow-no-covars"]
    subprocess.run([*map(str, command), "--out", str(folder / "o")], check=True, capture_output=True, timeout=120)
    (path,) = folder.glob(f"o.{trait}.glm.*")
    header, *rows = [line.split("\t") for line in path.read_text().splitlines()]
    return {name: np.array(cells) for name, cells in zip(header, zip(*rows, strict=True), strict=True)}


def numbers(cells):
    return np.where(cells == "NA", "nan", cells).astype(np.float64)


def assert_prints(ours, theirs, *, rtol):
    """Ours lies within half of the sixth digit of what PLINK prints, and rtol of the value."""
    assert (np.isnan(ours) == np.isnan(theirs)).all()
    digit = 10.0 ** (np.floor(np.log10(np.abs(theirs), where=theirs != 0, out=np.zeros_like(theirs))) - 5)
    off = np.abs(ours - theirs) - 0.5001 * digit
    worst = np.nanmax(off / np.abs(theirs))
    assert worst <= rtol, worst


def assert_equal(found, theirs, *, order, is_linear):
    ours = {"BETA": found.effect, "SE": found.standard_error, "P": found.p}
    assert {*theirs["ERRCODE"].tolist()} <= {".", "CONST_OMITTED_ALLELE", "SEPARATION,ALT1", "SEPARATION,REF"}
    if is_linear:
        for name, values in ours.items():
            assert_prints(values[0, order], numbers(theirs[name]), rtol=1e-6)
        return
    np.testing.assert_allclose(found.effect[0, order], numbers(theirs["BETA"]), rtol=1e-4, atol=1e-4)
    # An error of z makes z squared times that of p.
    by_z = np.maximum(found.statistic[0, order] ** 2, 1)
    for name, scale in {"SE": 1, "P": by_z}.items():
        theirs_now = numbers(theirs[name])
        assert (np.isnan(ours[name][0, order]) == np.isnan(theirs_now)).all()
        off = np.abs(ours[name][0, order] / theirs_now - 1) / scale
        assert np.nanmax(off) < 0.015
        assert np.nanquantile(off, 0.99) < 1e-4


@pytest.fixture(scope="module")
def mice():
    """Of each trait the dosages of the mice that have it, by rows, and the plan."""

    def of(trait, covariates):
        values = {"kind": "plink", "genotypes": "mouse_hs1940.bed", "phenotypes": "phenotypes.tsv", "trait": trait}
        plan = build(PlinkSettings, {**values, "covariates": covariates}).plan(MICE)
        reader = DosageReader(plan.genotypes.decoder, plan.samples.rows)
        return plan, reader.decode(np.arange(N_VARIANTS))

    return of


@pytest.mark.parametrize("covariates", [[], ["male"]], ids=["alone", "male"])
@pytest.mark.parametrize("trait", ["CD8", "CD8_bin"])
def test_mice_get_the_p_values_of_plink(mice, trait, covariates, tmp_path):
    plan, dosage = mice(trait, covariates)
    is_linear = trait == "CD8"
    modifiers = [] if is_linear else ["no-firth"]
    theirs = glm(
        MICE / "mouse_hs1940",
        tmp_path,
        table=MICE / "phenotypes.tsv",
        trait=trait,
        covariates=covariates,
        modifiers=modifiers,
    )
    scan = scan_linear if is_linear else scan_logistic
    found = scan(
        dosage, np.arange(len(dosage)), traits=plan.samples.values[:, None], covariates=plan.samples.covariates
    )
    place = {name: index for index, name in enumerate(plan.variants.ids.tolist())}
    order = [place[name] for name in theirs["ID"].tolist()]
    assert len(order) == 10_300  # PLINK leaves out the 1,926 without a position
    assert {*theirs["OBS_CT"].tolist()} == {str(len(dosage))}
    assert_equal(found, theirs, order=order, is_linear=is_linear)
    assert np.nanmin(found.log10_p[0, order]) < -15


@pytest.mark.parametrize("n_covariates", [0, 3])
@pytest.mark.parametrize("kind", ["linear", "logistic"])
def test_with_missing_genotypes_too(kind, n_covariates, tmp_path):
    rng = np.random.default_rng(0)
    n, m = 400, 300
    dosage = rng.binomial(2, rng.uniform(0.1, 0.6, m), (n, m)).astype(np.int8)
    dosage[rng.random(dosage.shape) < rng.uniform(0, 0.3, m)] = -1
    measured = rng.normal(size=(n, n_covariates)).astype(np.float32) + (dosage[:, :1] == 2)
    value = dosage[:, :2].sum(axis=1) + rng.normal(size=n) + 0.5 * measured.sum(axis=1)
    trait = value if kind == "linear" else (value > 1).astype(np.float64)
    trait[::17] = np.nan
    bed = write_fileset(tmp_path, "x", dosage)
    ids = [line.split()[:2] for line in (tmp_path / "x.fam").read_text().splitlines()]
    names = [f"C{i}" for i in range(n_covariates)]
    written = (
        np.where(np.isnan(trait), "NA", trait.astype(str))
        if kind == "linear"
        else np.where(np.isnan(trait), "NA", np.nan_to_num(trait).astype(int).astype(str))
    )
    lines = ["\t".join(["FID", "IID", "y", *names])]
    lines += [
        "\t".join([*who, cell, *map(repr, row)]) for who, cell, row in zip(ids, written, measured.tolist(), strict=True)
    ]
    table = tmp_path / "table.tsv"
    table.write_text("\n".join(lines) + "\n")
    theirs = glm(
        bed.with_suffix(""),
        tmp_path,
        table=table,
        trait="y",
        covariates=names,
        modifiers=[] if kind == "linear" else ["no-firth"],
    )
    scan = scan_linear if kind == "linear" else scan_logistic
    found = scan(dosage, np.arange(n), traits=trait[:, None], covariates=measured.astype(np.float32))
    assert theirs["OBS_CT"].tolist() == [str(n) for n in found.n_samples[0]]
    assert_equal(found, theirs, order=np.arange(m), is_linear=kind == "linear")
    assert len({*found.n_samples[0].tolist()}) > 50
