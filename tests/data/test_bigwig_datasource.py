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


def test_read_tasks_give_named_columns_without_ray(files):
    plan = build(AnySourceSettings, files.data()).plan(files.folder)
    source = BigWigDatasource(plan.decoder, plan.stretches())
    tasks = source.get_read_tasks(2)
    tables = [table for task in tasks for table in task()]
    assert (len(tasks), len(tables)) == (2, 3)
    assert tables[0].column_names == ["contig", "start", "sequence", "signal"]
    assert [len(table["signal"][0]) for table in tables] == [2 * 32, 2 * 20, 2 * 3]
    assert source.estimate_inmemory_data_size() == sum(task.metadata.size_bytes for task in tasks) == 55 * (32 + 2 * 4)


def test_the_dataset_gathers_into_the_store_that_is_decoded_without_ray(ray_on_two_cpus, demo):
    values = {
        "kind": "bigwig",
        "reference": "sacCer3.fa.gz",
        "tracks": {"a": {"path": "cutsites.bw"}, "again": {"path": "cutsites.bw"}},
        "resolution_bp": 32,
        "exclude": "exclude.bed",
    }
    plan = build(AnySourceSettings, values).plan(demo)
    told = []
    store = plan.read_store(NO_FOLD, lambda done, total: told.append((done, total))).store
    here = plan.read_store_here(NO_FOLD).store
    for name in ("sequence", "signal", "offsets", "lengths"):
        np.testing.assert_array_equal(getattr(store, name), getattr(here, name))
    assert (store.contigs, store.tracks, store.resolution_bp) == (here.contigs, here.tracks, here.resolution_bp)
    assert told[-1] == (plan.n_bins, plan.n_bins)
    assert told == sorted(told)


def test_a_damaged_file_is_named_as_it_is_without_ray(ray_on_two_cpus, files):
    content = bytearray((files.folder / "a.bw").read_bytes())
    content[440:520] = bytes(80)
    (files.folder / "a.bw").write_bytes(content)
    plan = build(AnySourceSettings, files.data()).plan(files.folder)
    with pytest.raises(DataError, match=r"^a\.bw: chrI:0-1003 can't be read \(.*\): the file is damaged. Copy it"):
        plan.read_store(NO_FOLD)
