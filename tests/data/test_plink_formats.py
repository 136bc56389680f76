"""The source `plink` on files other than a .bed: plans, stores and first specs."""

import numpy as np
import pytest
import yaml
from data.genotype_file_builders import default_psam, write_pfileset, write_vcf
from data.plink_builders import default_bim, default_fam, write_fileset, write_rows

from genotune.data import plink_datasource
from genotune.data.new_spec import write_spec
from genotune.data.plink_datasource import VariantDatasource
from genotune.data.plink_settings import PlinkSettings
from genotune.errors import DataError
from genotune.genome.splits import Fold
from genotune.settings import build
from genotune.store import DOSAGE_STEPS, MISSING_STEPS

# ray.data 2.60 warns about its own defaults when its context is made.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:ray.data.context")

N_SAMPLES, N_VARIANTS = 24, 30
OPEN = {"min_maf": 0, "min_call_rate": 0}
TEXT = {-1: "./.", 0: "0/0", 1: "0|1", 2: "1/1"}


def draw():
    rng = np.random.default_rng(0)
    return rng.choice([0, 1, 2, -1], p=[0.35, 0.4, 0.2, 0.05], size=(N_SAMPLES, N_VARIANTS)).astype(np.int8)


def fractions():
    copies = np.where(draw() < 0, np.nan, draw())
    copies += np.random.default_rng(1).integers(0, 1500, copies.shape) / DOSAGE_STEPS
    return np.minimum(copies, 2)


def traits(folder):
    rng = np.random.default_rng(2)
    rows = [("IID", "CD8", "age"), *((f"I{i}", f"{rng.normal():.3f}", rng.integers(20, 30)) for i in range(N_SAMPLES))]
    write_rows(folder / "traits.tsv", rows, separator="\t")


def plan_of(folder, genotypes, **values):
    traits(folder)
    data = {"kind": "plink", "genotypes": genotypes, "phenotypes": "traits.tsv", "trait": "CD8", "filters": OPEN}
    return build(PlinkSettings, data | values).plan(folder)


def in_thirds():
    members = np.arange(N_SAMPLES)
    return Fold(members[:14], members[14:19], members[19:])


def vcf_of(path, **values):
    return write_vcf(path, [[TEXT[int(copies)] for copies in variant] for variant in draw().T], **values)


def same_store(one, other):
    for name in ("dosage", "phenotype", "covariates"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    for ours, theirs in zip(one.variants, other.variants, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("kind", ["pgen", "vcf", "vcf.gz", "bcf", "split"])
def test_the_same_genotypes_make_the_same_store_whatever_their_file(tmp_path, kind):
    bed = write_fileset(tmp_path, "bed", draw())
    named = f"x.{kind}"
    if kind == "pgen":
        write_pfileset(tmp_path, "x", draw())
    elif kind == "split":
        named = ["one.bed", "two.bed"]
        write_fileset(tmp_path, "one", draw()[:, :11], bim=default_bim(N_VARIANTS)[:11])
        write_fileset(tmp_path, "two", draw()[:, 11:], bim=default_bim(N_VARIANTS)[11:])
    else:
        vcf_of(tmp_path / named, index=kind != "vcf")
    plan = plan_of(tmp_path, named)
    store, expected = plan.read_store_here(in_thirds()), plan_of(tmp_path, bed.name).read_store_here(in_thirds())
    assert store.notes == expected.notes
    same_store(store.store, expected.store)


@pytest.mark.parametrize("keep", [None, 7])
def test_fractions_of_a_copy_are_kept_in_the_store(tmp_path, keep):
    write_pfileset(tmp_path, "x", fractions())
    plan = plan_of(tmp_path, "x.pgen", keep_variants=keep)
    store = plan.read_store_here(in_thirds()).store
    assert store.dosage.dtype == np.uint16
    assert store.n_variants == (keep or N_VARIANTS)
    column = {name: fractions()[:, i] for i, name in enumerate(plan.variants.ids.tolist())}
    for index, name in enumerate(store.variants.ids.tolist()):
        expected = np.where(np.isnan(column[name]), MISSING_STEPS, column[name] * DOSAGE_STEPS)
        np.testing.assert_array_equal(store.dosage[:, index], expected)
        known = column[name][in_thirds().train]
        assert store.variants.frequency[index] == pytest.approx(np.nanmean(known) / 2, abs=1e-6)
    assert store.nbytes <= plan.store_nbytes <= 1.05 * store.nbytes
    assert "x.pgen: dosages in fractions of a copy are kept as such, in two bytes each." in plan.notes
    assert plan.record(in_thirds())["dosage"] == "uint16"


def test_other_samples_change_nothing_that_was_learned_from_fractions(tmp_path):
    train = in_thirds().train
    others = np.setdiff1d(np.arange(N_SAMPLES), train)
    stores = []
    for shift in (0, 1):
        copies = fractions()
        copies[others] = copies[np.roll(others, shift)]
        write_pfileset(tmp_path, f"x{shift}", copies)
        stores.append(plan_of(tmp_path, f"x{shift}.pgen", keep_variants=9).read_store_here(in_thirds()).store)
    for ours, theirs in zip(stores[0].variants, stores[1].variants, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(stores[0].dosage[train], stores[1].dosage[train])
    assert (stores[0].dosage[others] != stores[1].dosage[others]).any()


@pytest.mark.parametrize("kind", ["fractions", "sequential", "split"])
def test_the_datasets_gather_into_the_store_that_is_decoded_without_ray(tmp_path, kind, monkeypatch, ray_on_two_cpus):
    monkeypatch.setattr(plink_datasource, "_BLOCK_BYTES", 5 * N_SAMPLES)
    if kind == "fractions":
        write_pfileset(tmp_path, "x", fractions())
    else:
        vcf_of(tmp_path / "x.vcf")
    named = {"fractions": "x.pgen", "sequential": "x.vcf", "split": ["x.vcf", "other.bed"]}[kind]
    bim = [("2", f"o{i}", *row[2:]) for i, row in enumerate(default_bim(N_VARIANTS))]
    fam = [("0", *row[1:]) for row in default_fam(N_SAMPLES)]
    write_fileset(tmp_path, "other", draw()[:, ::-1], bim=bim, fam=fam)
    plan = plan_of(tmp_path, named, keep_variants=17)
    same_store(plan.read_store(in_thirds()).store, plan.read_store_here(in_thirds()).store)


def test_what_is_read_from_its_start_is_one_task(tmp_path, monkeypatch, ray_on_two_cpus):
    monkeypatch.setattr(plink_datasource, "_BLOCK_BYTES", 1)
    vcf_of(tmp_path / "x.vcf")
    plan = plan_of(tmp_path, "x.vcf")
    reader = plink_datasource.DosageReader(plan.genotypes.decoder, plan.samples.rows)
    source = VariantDatasource(reader, np.arange(N_VARIANTS))
    assert source.n_tasks == 1
    assert len(source.get_read_tasks(8)) == 1
    assert any("no index lies beside it" in note for note in plan.notes)


@pytest.mark.parametrize(("trait", "name"), [(None, "height"), ("height", "height")])
def test_the_trait_may_stand_in_the_psam(tmp_path, trait, name):
    write_pfileset(tmp_path, "x", draw())
    plan = plan_of(tmp_path, "x", phenotypes=None, trait=trait)
    assert plan.samples.trait == name
    assert plan.samples.values.tolist() == [170.0 + i for i in range(N_SAMPLES)]
    assert plan.samples.table.columns["SEX"][:3].tolist() == ["1", "2", "1"]


def test_several_traits_may_stand_in_the_psam(tmp_path):
    psam = "#IID\ta\tb\tc\n" + "".join(f"I{i}\t{i}.5\t0\t{-i}.25\n" for i in range(N_SAMPLES))
    write_pfileset(tmp_path, "x", draw(), psam=psam)
    plan = plan_of(tmp_path, "x", phenotypes=None, trait=["c", "a"])
    assert [trait.name for trait in plan.samples.traits] == ["c", "a"]
    assert plan.samples.traits[1].values.tolist() == [i + 0.5 for i in range(N_SAMPLES)]
    with pytest.raises(DataError, match=r"^x\.psam: no column d, which data\.trait names; there is 'a', 'b' and 'c'\."):
        plan_of(tmp_path, "x", phenotypes=None, trait=["a", "d"])


def test_a_case_of_a_psam_is_a_two_and_a_zero_is_missing(tmp_path):
    psam = "#IID\tcase\n" + "".join(f"I{i}\t{i % 3}\n" for i in range(N_SAMPLES))
    write_pfileset(tmp_path, "x", draw(), psam=psam)
    plan = plan_of(tmp_path, "x", phenotypes=None, trait=None)
    assert plan.samples.kind == "binary"
    assert len(plan.samples.values) == 16


@pytest.mark.parametrize(
    ("header", "trait", "message"),
    [
        (
            "#IID\tSEX\ta\tb",
            None,
            r"^x\.psam: which column is the trait\? Name it in data\.trait .*; there is 'a' and 'b'\.",
        ),
        ("#IID\tSEX\ta\tb", "c", r"^x\.psam: no column c, which data\.trait names; there is 'a' and 'b'\."),
        ("#IID\tPAT\tMAT\tSEX", None, r"^x\.psam: has no trait\. Name a table of samples in data\.phenotypes"),
    ],
)
def test_a_psam_that_does_not_tell_the_trait_is_refused(tmp_path, header, trait, message):
    psam = header + "\n" + "".join(f"I{i}\t0\t{i}\t0\n" for i in range(N_SAMPLES))
    write_pfileset(tmp_path, "x", draw(), psam=psam)
    with pytest.raises(DataError, match=message):
        plan_of(tmp_path, "x", phenotypes=None, trait=trait)


def test_a_vcf_has_no_trait_of_its_own(tmp_path):
    vcf_of(tmp_path / "x.vcf")
    with pytest.raises(DataError, match=r"^x\.vcf: has no trait\. Name a table of samples in data\.phenotypes"):
        plan_of(tmp_path, "x.vcf", phenotypes=None, trait=None)


def test_a_dosage_field_without_a_vcf_has_no_effect_and_that_is_said(tmp_path):
    write_fileset(tmp_path, "x", draw())
    assert any(
        "data.dosage_field has no effect" in note for note in plan_of(tmp_path, "x.bed", dosage_field="DS").notes
    )
    assert not any("dosage_field" in note for note in plan_of(tmp_path, "x.bed").notes)


def test_faults_of_table_and_genotypes_come_at_once(tmp_path):
    write_pfileset(tmp_path, "x", draw(), psam=default_psam(3))
    with pytest.raises(DataError, match=r"^traits\.tsv has no column .*\nx\.pgen: holds 24 samples, x\.psam lists 3"):
        plan_of(tmp_path, "x.pgen", trait="CD88")


@pytest.mark.parametrize("named", ["x.pgen", "x.psam", "x.pvar", "x", "v.vcf.gz", "v.vcf"])
def test_a_first_spec_is_written_for_each_kind_of_file(tmp_path, monkeypatch, named):
    monkeypatch.chdir(tmp_path)
    if named.startswith("x"):
        write_pfileset(tmp_path, "x", draw())
    else:
        vcf_of(tmp_path / named)
    traits(tmp_path)
    text = write_spec([tmp_path / named, tmp_path / "traits.tsv"], tmp_path / "sweep.yaml", trait="CD8")
    data = yaml.safe_load(text)["data"]
    assert data["genotypes"] == (named if named.startswith("v") else "x.pgen")
    assert "CD8 on 30 variants of 24 samples" in text.splitlines()[0]
    plan = build(PlinkSettings, data).plan(tmp_path)
    assert len(plan.samples.rows) == N_SAMPLES


def test_a_first_spec_may_take_its_trait_from_the_psam(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_pfileset(tmp_path, "x", draw())
    text = write_spec([tmp_path / "x.pgen"], tmp_path / "sweep.yaml", trait="height")
    assert "genotypes: x.pgen  # its .pvar and .psam lie beside it" in text
    assert build(PlinkSettings, yaml.safe_load(text)["data"]).plan(tmp_path).samples.trait == "height"
