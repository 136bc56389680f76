"""Whole sources over HTTP: planned here, read by Ray's tasks, which find or make their own machine's copy."""

import os
import shutil

import numpy as np
import pytest
from data.http_server import FileServer
from data.plink_builders import write_fileset

from genotune.data import AnySourceSettings
from genotune.data.files import InputFile
from genotune.data.plink_files import find_fileset, read_bim, read_fam
from genotune.errors import DataError
from genotune.genome.splits import Fold
from genotune.settings import build

NO_FOLD = Fold(*(np.empty(0, dtype=np.int64) for _ in range(3)))
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:ray.data.context")


@pytest.fixture(scope="module", autouse=True)
def tasks_cache(tmp_path_factory):
    """The cache of Ray's processes, which inherit it when Ray starts: that of another machine, to this process."""
    folder = tmp_path_factory.mktemp("tasks")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("GENOTUNE_CACHE", str(folder))
        yield folder


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GENOTUNE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def server(files):
    with FileServer(files.folder) as server:
        yield server


def remote_data(files, url, **values):
    tracks = {name: {"path": f"{url}/{name}.bw"} for name in ("a", "b")}
    return files.data(reference=f"{url}/ref.fa.gz", tracks=tracks, exclude=f"{url}/barred.bed", **values)


@pytest.fixture
def project(files, build_fasta):
    """The files' folder with a bgzipped reference, its index, and a BED."""
    build_fasta(files.folder / "ref.fa.gz", files.sequences)
    (files.folder / "barred.bed").write_text("chrI\t100\t130\n")
    here = build(AnySourceSettings, files.data(reference="ref.fa.gz", exclude="barred.bed")).plan(files.folder)
    assert (files.folder / "ref.fa.gz.gzi").is_file()
    return here.read_store_here(NO_FOLD).store


def assert_equal_stores(one, other):
    for name in ("sequence", "signal", "offsets", "lengths"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert (one.contigs, one.tracks) == (other.contigs, other.tracks)


@pytest.mark.usefixtures("ray_on_two_cpus")
def test_a_project_over_http_is_read_as_one_of_this_machine(tasks_cache, cache, files, project, server):
    plan = build(AnySourceSettings, remote_data(files, server.url)).plan(files.folder / "nowhere")
    assert {path.name for path in cache.rglob("ref.fa.gz*")} == {"ref.fa.gz", "ref.fa.gz.fai", "ref.fa.gz.gzi"}
    assert plan.fingerprints()[0]["path"] == f"{server.url}/ref.fa.gz"
    assert_equal_stores(plan.read_store_here(NO_FOLD).store, project)
    assert server.n_sent == dict.fromkeys(
        ["ref.fa.gz", "ref.fa.gz.fai", "ref.fa.gz.gzi", "a.bw", "b.bw", "barred.bed"], 1
    )
    # Ray's tasks are another machine's: they copy what they read, once for all of them, and no BED.
    shutil.rmtree(cache)
    assert_equal_stores(plan.read_store(NO_FOLD).store, project)
    of_tasks = {"ref.fa.gz", "ref.fa.gz.fai", "ref.fa.gz.gzi", "a.bw", "b.bw"}
    assert server.n_sent == {name: 2 if name in of_tasks else 1 for name in server.n_sent}
    assert {path.name for path in tasks_cache.rglob("*") if path.is_file()} == {*of_tasks, ".lock"}


@pytest.mark.usefixtures("ray_on_two_cpus")
def test_a_track_that_changes_before_it_is_read_is_told_by_the_task(cache, files, project, server):
    plan = build(AnySourceSettings, remote_data(files, server.url)).plan(files.folder)
    os.utime(files.folder / "b.bw", (1e9, 1e9))
    with pytest.raises(DataError, match=rf"^{server.url}/b\.bw: was changed where it lies since"):
        plan.read_store(NO_FOLD)


def test_faults_of_remote_files_come_at_once(cache, files, server):
    server.statuses["a.bw"] = 403
    (files.folder / "b.bw").unlink()
    with pytest.raises(DataError) as caught:
        build(AnySourceSettings, files.data(tracks={n: {"path": f"{server.url}/{n}.bw"} for n in "ab"})).plan(
            files.folder
        )
    first, second = str(caught.value).splitlines()
    assert first.startswith(f"{server.url}/a.bw: no permission to read it.")
    assert second == f"{server.url}/b.bw: no such file there."


def test_no_secret_of_an_address_stands_in_a_fault(cache, files, server, build_bigwig):
    server.login = "me:hush"
    build_bigwig(files.folder / "c.bw", {"other": np.ones(30)})
    data = files.data(tracks={"c": {"path": f"http://me:hush@{server.host}/c.bw"}})
    with pytest.raises(DataError, match=r"^http://\*\*\*@127.*c\.bw: no contig in common") as caught:
        build(AnySourceSettings, data).plan(files.folder)
    assert "hush" not in str(caught.value)


def test_a_fileset_over_http_is_found_and_read(cache, files, server):
    write_fileset(files.folder, "x", [[0, 1, 2], [2, -1, 0]])
    fileset = find_fileset(files.folder / "nowhere", f"{server.url}/x.bed")
    assert [file.label for file in fileset] == [f"{server.url}/x{ending}" for ending in (".bed", ".bim", ".fam")]
    local = [InputFile(files.folder / f"x{ending}", "x") for ending in (".bim", ".fam")]
    np.testing.assert_array_equal(read_bim(fileset.bim).ids, read_bim(local[0]).ids)
    np.testing.assert_array_equal(read_fam(fileset.fam).iids, read_fam(local[1]).iids)
    assert fileset.bed.path.read_bytes() == (files.folder / "x.bed").read_bytes()
    (files.folder / "x.fam").unlink()
    with pytest.raises(DataError, match=rf"^{server.url}/x\.fam: no such file there\."):
        find_fileset(files.folder, f"{server.url}/x")
