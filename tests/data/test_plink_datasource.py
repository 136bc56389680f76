import tracemalloc

import numpy as np
import pyarrow as pa
import pytest
from bed_reader import open_bed
from data.plink_builders import MAGIC, packed, write_fileset, write_rows

from genotune.columns import DOSAGE, VARIANT
from genotune.data import bed_file, plink_datasource
from genotune.data.bed_file import BedDecoder
from genotune.data.files import InputFile
from genotune.data.plink_datasource import DosageReader, StatisticsReader, VariantDatasource, rows_of
from genotune.data.plink_settings import PlinkSettings
from genotune.data.ray_reading import read_tables
from genotune.data.variant_statistics import Statistics, joint_statistics, training_sets, trait_basis
from genotune.errors import DataError
from genotune.genome.splits import RandomSplitSettings
from genotune.settings import build

# ray.data 2.60 warns about its own defaults when its context is made.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:ray.data.context")

N_SAMPLES, N_VARIANTS = 13, 50


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks of four variants, so that tiny files have many."""
    monkeypatch.setattr(plink_datasource, "_BLOCK_BYTES", 4 * N_SAMPLES)


def draw(n_samples=N_SAMPLES, n_variants=N_VARIANTS, *, seed=0):
    return np.random.default_rng(seed).choice([0, 1, 2, -1], size=(n_samples, n_variants)).astype(np.int8)


def dosage_reader(folder, dosage, *, samples=None):
    bed = InputFile(write_fileset(folder, "x", dosage), "data/x.bed")
    n_samples, n_variants = dosage.shape
    rows = np.arange(n_samples) if samples is None else np.array(samples)
    return DosageReader(BedDecoder(bed, n_samples, n_variants), rows)


def statistics_reader(folder, dosage, *, samples, members):
    """On sets of these samples, each given by its members' places among them."""
    trait = np.random.default_rng(1).normal(size=len(samples))
    nothing = np.empty((len(samples), 0), dtype=np.float32)
    bases = [trait_basis(trait[rows], nothing[rows], kind="quantitative") for rows in members]
    reader = dosage_reader(folder, dosage, samples=samples)
    sets = training_sets(bases, members, n_samples=len(samples), is_fractional=False)
    return StatisticsReader(reader.decoder, reader.samples, sets)


def gathered(tables):
    """(variant, sample) dosages by variant, from tables in any order."""
    return {int(v): row.tolist() for table in tables for vs, rows in rows_of(table) for v, row in zip(vs, rows)}  # noqa: B905


def expected(dosage, variants):
    return {int(variant): dosage[:, variant].tolist() for variant in variants}


@pytest.mark.parametrize("n_samples", [1, 2, 3, 4, 5, 8, 13])
def test_decoded_dosages_are_those_that_were_written(tmp_path, n_samples):
    dosage = draw(n_samples)
    found = dosage_reader(tmp_path, dosage).decode(np.arange(N_VARIANTS))
    assert found.dtype == np.int8
    np.testing.assert_array_equal(found, dosage)


def test_chosen_samples_and_variants_come_in_the_order_that_was_asked_for(tmp_path):
    dosage = draw()
    samples, variants = [11, 0, 7], np.array([49, 3, 4, 0])
    found = dosage_reader(tmp_path, dosage, samples=samples).decode(variants)
    np.testing.assert_array_equal(found, dosage[np.ix_(samples, variants)])


@pytest.mark.parametrize("at_once", [1, 40, 1 << 20])
@pytest.mark.parametrize("n_samples", [*range(1, 18), 203])
def test_any_bytes_decode_to_what_bed_reader_says(tmp_path, monkeypatch, n_samples, at_once):
    """All genotypes in all places, and bits past the last sample that PLINK leaves at zero and others don't."""
    monkeypatch.setattr(bed_file, "_DECODED_AT_ONCE", at_once)
    rng = np.random.default_rng(n_samples)
    bed = InputFile(write_fileset(tmp_path, "x", draw(n_samples)), "x.bed")
    bed.path.write_bytes(MAGIC + rng.bytes((n_samples + 3) // 4 * N_VARIANTS))
    decoder = BedDecoder(bed, n_samples, N_VARIANTS)
    with open_bed(bed.path, skip_format_check=True, num_threads=1) as oracle:
        expected = oracle.read(dtype="int8", num_threads=1)
    expected[expected == -127] = -1
    everyone, variants = np.arange(n_samples), rng.permutation(np.r_[0:9, 20:N_VARIANTS])
    np.testing.assert_array_equal(decoder.decode(everyone, np.arange(N_VARIANTS)), expected)
    some = rng.permutation(n_samples)[: max(1, n_samples // 2)]
    np.testing.assert_array_equal(decoder.decode(some, variants), expected[np.ix_(some, variants)])
    assert decoder.decode(some, variants[:0]).shape == (len(some), 0)


def test_few_of_many_samples_are_decoded_without_all_of_the_others_at_once(tmp_path):
    """A block is sized by the samples that are wanted; 20,000 others of 2,000 variants would take 40 MB beside them."""
    bed = InputFile(tmp_path / "x.bed", "x.bed")
    bed.path.write_bytes(MAGIC + bytes(5000 * 2000))
    decoder = BedDecoder(bed, 20_000, 2000)
    decoder.decode(np.arange(4), np.arange(1))
    tracemalloc.start()
    assert (decoder.decode(np.array([7, 19_999]), np.arange(2000)) == 2).all()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10_000_000


def test_only_the_bed_is_needed_to_decode(tmp_path):
    reader = dosage_reader(tmp_path, draw())
    (tmp_path / "x.bim").unlink()
    (tmp_path / "x.fam").unlink()
    np.testing.assert_array_equal(reader.decode(np.arange(N_VARIANTS)), draw())


@pytest.mark.parametrize("n_samples", [1, 1000, 500_000, 100_000_000])
def test_blocks_are_bounded_and_hold_each_variant_once(n_samples):
    reader = DosageReader(BedDecoder(InputFile(None, "x.bed"), n_samples, 3000), np.empty(n_samples, dtype=np.int8))
    variants = np.arange(0, 9000, 3)
    blocks = reader.blocks(variants)
    assert np.concatenate(blocks).tolist() == variants.tolist()
    assert all(len(block) == 1 or len(block) * n_samples <= 16_000_000 for block in blocks)
    assert min(map(len, blocks)) >= 1


def test_of_no_variants_there_is_no_block(tmp_path):
    assert dosage_reader(tmp_path, draw()).blocks(np.empty(0, dtype=np.int64)) == []


@pytest.mark.parametrize("parallelism", [1, 2, 3, 5, 13, 14, 200])
def test_read_tasks_cover_each_variant_once_at_any_parallelism(tmp_path, small_blocks, parallelism, ray_on_two_cpus):
    dosage, variants = draw(), np.arange(1, N_VARIANTS)
    source = VariantDatasource(dosage_reader(tmp_path, dosage), variants)
    tasks = source.get_read_tasks(parallelism)
    tables = [table for task in tasks for table in task()]
    assert len(tasks) == min(parallelism, 13)
    assert np.concatenate([table[VARIANT].to_numpy() for table in tables]).tolist() == variants.tolist()
    assert all(table.num_rows <= 4 for table in tables)
    assert gathered(tables) == expected(dosage, variants)
    assert [task.metadata.num_rows for task in tasks] == [sum(table.num_rows for table in task()) for task in tasks]
    n_bytes = sum(task.metadata.size_bytes for task in tasks)
    assert source.estimate_inmemory_data_size() == n_bytes == len(variants) * (8 + N_SAMPLES)


def test_there_are_as_many_tasks_as_blocks_until_there_are_very_many(tmp_path, monkeypatch, ray_on_two_cpus):
    reader = dosage_reader(tmp_path, draw())
    assert VariantDatasource(reader, np.arange(N_VARIANTS)).n_tasks == 1
    monkeypatch.setattr(plink_datasource, "_BLOCK_BYTES", 1)
    assert VariantDatasource(reader, np.arange(N_VARIANTS)).n_tasks == N_VARIANTS
    monkeypatch.setattr(plink_datasource, "_MOST_TASKS", 7)
    assert VariantDatasource(reader, np.arange(N_VARIANTS)).n_tasks == 7


def test_statistics_come_as_named_columns_of_each_set_of_the_chosen_samples(tmp_path):
    dosage, samples = draw(), [1, 2, 5, 8, 12]
    members = [np.array([0, 1, 2, 4]), np.array([1, 2, 3])]
    reader = statistics_reader(tmp_path, dosage, samples=samples, members=members)
    table = reader.table(np.array([4, 9]))
    assert table.column_names == [VARIANT, *(f"{name}_{n}" for n in (1, 2) for name in Statistics._fields)]
    assert table.schema.types == [pa.int64(), *([pa.int64()] * 4 + [pa.float64()] * 2) * 2]
    assert table[VARIANT].to_pylist() == [4, 9]
    known = joint_statistics(dosage[np.ix_(samples, [4, 9])], reader.sets)
    for index, one in enumerate(known):
        for mine, theirs in zip(reader.statistics(table, index), one, strict=True):
            np.testing.assert_array_equal(mine, theirs)
    assert table.nbytes == 2 * reader.row_nbytes


def test_rows_of_a_part_of_a_table_are_those_of_that_part(tmp_path):
    """Ray hands on slices and joined tables; their buffers hold more than their rows."""
    dosage = draw()
    reader = dosage_reader(tmp_path, dosage)
    table = pa.concat_tables([reader.table(np.arange(20)), reader.table(np.arange(20, 30))])
    assert gathered([table.slice(7, 18)]) == expected(dosage, range(7, 25))


def test_a_table_of_dosages_takes_a_byte_a_genotype(tmp_path):
    reader = dosage_reader(tmp_path, draw())
    assert reader.table(np.arange(10)).nbytes == 10 * reader.row_nbytes == 10 * (8 + N_SAMPLES)


CUTS = [
    pytest.param(size, id=f"{size} bytes") for size in (0, 2, 3, 4, 3 + 4 * 20, 3 + 4 * 20 + 1, 3 + 4 * N_VARIANTS - 1)
]


@pytest.mark.parametrize("size", CUTS)
def test_a_bed_that_was_cut_short_since_it_was_planned_is_named(tmp_path, size):
    reader = dosage_reader(tmp_path, draw())
    reader.decoder.bed.path.write_bytes((MAGIC + packed(draw()))[:size])
    with pytest.raises(DataError, match=r"^data/x\.bed: can't be decoded: .*\. Copy it again\.$"):
        reader.decode(np.arange(N_VARIANTS))


def test_a_bed_that_is_gone_since_it_was_planned_is_named(tmp_path):
    reader = dosage_reader(tmp_path, draw())
    reader.decoder.bed.path.unlink()
    with pytest.raises(DataError, match=r"^data/x\.bed: can't be decoded: .*\. Copy it again\.$"):
        reader.decode(np.arange(N_VARIANTS))


def test_the_dataset_holds_what_is_decoded_without_ray(tmp_path, small_blocks, ray_on_two_cpus):
    dosage, variants = draw(), np.array([0, 1, 2, 7, 8, 20, 21, 22, 23, 49])
    source = VariantDatasource(dosage_reader(tmp_path, dosage), variants)
    tables = list(read_tables(source, n_blocks=source.n_tasks))
    assert sum(table.num_rows for table in tables) == len(variants)
    assert gathered(tables) == expected(dosage, variants)
    assert all(table[DOSAGE].type.list_size == N_SAMPLES for table in tables)


def plan_of(folder, dosage, **values):
    """A fileset with a trait and a covariate, planned."""
    write_fileset(folder, "x", dosage)
    rng = np.random.default_rng(2)
    rows = [("IID", "trait", "age"), *((f"I{i}", rng.normal(), rng.normal()) for i in range(len(dosage)))]
    write_rows(folder / "t.tsv", rows, separator="\t")
    data = {"kind": "plink", "genotypes": "x.bed", "phenotypes": "t.tsv", "trait": "trait", "covariates": ["age"]}
    return build(PlinkSettings, data | values).plan(folder)


def fold_of(plan):
    return plan.resolve(build(RandomSplitSettings, {"by": "random", "validation": 0.2, "test": 0.2}))


@pytest.mark.parametrize("keep", [None, 1, 17])
def test_the_datasets_gather_into_the_store_that_is_decoded_without_ray(tmp_path, small_blocks, keep, ray_on_two_cpus):
    # Each variant stands there twice, so that ranks rest on ties too.
    plan = plan_of(tmp_path, np.tile(draw(), 2), filters={"min_maf": 0, "min_call_rate": 0}, keep_variants=keep)
    fold, told = fold_of(plan), []
    (store, notes, _), here = plan.read_store(fold, lambda *done: told.append(done)), plan.read_store_here(fold)
    assert notes == here.notes
    for name in ("dosage", "phenotype", "covariates", "samples"):
        np.testing.assert_array_equal(getattr(store, name), getattr(here.store, name))
    for one, other in zip(store.variants, here.store.variants, strict=True):
        np.testing.assert_array_equal(one, other)
    for name in ("trait", "kind", "classes", "covariate_names"):
        assert getattr(store, name) == getattr(here.store, name)
    n_all = 2 * N_VARIANTS + store.n_variants
    assert told[-1] == (n_all, n_all)
    done = [n for n, _ in told]
    assert done == sorted(done)
    assert all(0 < n <= total for n, total in told)


def test_blocks_may_come_in_any_order(tmp_path, small_blocks):
    """Ray hands on what is ready first."""
    plan = plan_of(tmp_path, draw())
    fold = fold_of(plan)

    def last_first(reader, variants):
        return [reader.table(block) for block in reversed(reader.blocks(variants))]

    expected, found = plan.read_store_here(fold), next(plan._read([fold], last_first))
    assert found.notes == expected.notes
    np.testing.assert_array_equal(found.store.dosage, expected.store.dosage)
    for one, other in zip(found.store.variants, expected.store.variants, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_cut_fileset_is_named_as_it_is_without_ray(tmp_path, small_blocks, ray_on_two_cpus):
    plan = plan_of(tmp_path, draw())
    (tmp_path / "x.bed").write_bytes((MAGIC + packed(draw()))[:-9])
    with pytest.raises(DataError, match=r"^x\.bed: can't be decoded: .*\. Copy it again\.$"):
        plan.read_store(fold_of(plan))


def test_where_no_variant_is_left_a_person_is_told_through_ray_too(tmp_path, small_blocks, ray_on_two_cpus):
    plan = plan_of(tmp_path, np.ones((N_SAMPLES, N_VARIANTS)))
    with pytest.raises(DataError, match=r"^none of the 50 variants passes the filters .* Loosen data\.filters\.$"):
        plan.read_store(fold_of(plan))
