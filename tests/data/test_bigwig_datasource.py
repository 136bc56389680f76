import pickle

import numpy as np
import pytest

from genotune.data import AnySourceSettings
from genotune.data.bigwig_datasource import BigWigDatasource
from genotune.errors import DataError
from genotune.genome.splits import Fold
from genotune.settings import build

# ray.data 2.60 warns about its own defaults when its context is made.
NO_FOLD = Fold(*(np.empty(0, dtype=np.int64) for _ in range(3)))
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:ray.data.context")


def test_read_tasks_give_named_columns_without_ray(files, build_fasta, build_bigwig):
    lengths = {"chrI": 1_500_000, "chrII": 900_000, "chrIII": 77}
    build_fasta(files.folder / "ref.fa", {contig: "ACGT" * (length // 4 + 1) for contig, length in lengths.items()})
    (files.folder / "p.bed").write_text("chrI\t5\t10\n")
    tracks = {"a": {"peaks": "p.bed"}, "b": {"peaks": "p.bed"}}
    plan = build(AnySourceSettings, files.data(tracks=tracks)).plan(files.folder)
    source = BigWigDatasource(plan.decoder, plan.stretches())
    tasks = source.get_read_tasks(2)
    tables = [table for task in tasks for table in task()]
    assert (len(tasks), len(tables)) == (2, 3)
    assert tables[0].column_names == ["contig", "start", "sequence", "signal"]
    assert [table["contig"][0].as_py() for table in tables] == [0, 0, 1]
    assert sum(len(table["signal"][0]) for table in tables) == 2 * plan.n_bins
    assert source.estimate_inmemory_data_size() == sum(task.metadata.size_bytes for task in tasks)
    assert source.estimate_inmemory_data_size() == plan.n_bins * (32 + 2 * 4)


def test_a_read_task_carries_no_more_than_its_own_part(files, build_fasta, build_bigwig):
    """Thousands of scaffolds times hundreds of tasks would be gigabytes."""
    contigs = {f"scaffold_{n}": np.ones(60) for n in range(3_000)}
    build_fasta(files.folder / "ref.fa", dict.fromkeys(contigs, "ACGT" * 15))
    track = build_bigwig(files.folder / "a.bw", {"scaffold_0": np.ones(60)}, lengths=dict.fromkeys(contigs, 60))
    plan = build(AnySourceSettings, files.data(tracks={"a": {"path": track.name}})).plan(files.folder)
    assert len(plan.stretches()) == 1
    assert len(pickle.dumps(plan.decoder)) < 1_000


def same_stores(store, other):
    """Whether every array and all that is said of them is equal."""
    for name in ("sequence", "signal", "offsets", "lengths"):
        np.testing.assert_array_equal(getattr(store, name), getattr(other, name))
    for name in ("contigs", "tracks", "resolution_bp", "kind", "strand_pairs", "transforms"):
        assert getattr(store, name) == getattr(other, name), name
    assert list(store.peaks) == list(other.peaks)
    for name, peaks in store.peaks.items():
        for column, others in zip(peaks, other.peaks[name], strict=True):
            np.testing.assert_array_equal(column, others)
    return True


SIGNALS = {
    "tracks": {"a": {"path": "cutsites.bw", "transform": "arcsinh"}, "again": {"path": "cutsites.bw"}},
    "strands": [["a", "again"]],
}
LABELS = {"tracks": {"a": {"peaks": "peaks.narrowPeak"}, "b": {"peaks": "exclude.bed"}}, "labels": "multiclass"}


@pytest.mark.parametrize("what", [SIGNALS, LABELS])
def test_the_dataset_gathers_into_the_store_that_is_decoded_without_ray(ray_on_two_cpus, demo, what):
    values = {
        "kind": "bigwig",
        "reference": "sacCer3.fa.gz",
        "resolution_bp": 32,
        "exclude": ["exclude.bed"],
        "peaks": {"open": {"path": "peaks.narrowPeak"}},
        **what,
    }
    plan = build(AnySourceSettings, values).plan(demo)
    told = []
    store = plan.read_store(NO_FOLD, lambda done, total: told.append((done, total))).store
    assert same_stores(store, plan.read_store_here(NO_FOLD).store)
    assert len(store.peaks["open"].starts) == 1_605 - 46
    assert told[-1] == (plan.n_bins, plan.n_bins)
    assert told == sorted(told)


def test_a_damaged_file_is_named_as_it_is_without_ray(ray_on_two_cpus, files):
    content = bytearray((files.folder / "a.bw").read_bytes())
    content[440:520] = bytes(80)
    (files.folder / "a.bw").write_bytes(content)
    plan = build(AnySourceSettings, files.data()).plan(files.folder)
    with pytest.raises(DataError, match=r"^a\.bw: chrI:0-1003 can't be read \(.*\): the file is damaged. Copy it"):
        plan.read_store(NO_FOLD)
