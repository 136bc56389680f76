"""A storage of checkpoints: each folder there whole or not there, whatever dies or is away."""

import logging
import shutil
import sys
from pathlib import Path

import pytest

from genotune.errors import HaltError
from genotune.storage import Storage, TornError, sizes_in, storage_at
from s3_server import refusing_server


@pytest.fixture
def storage(place):
    return place


@pytest.fixture
def folder(tmp_path):
    """With two files, one of them empty."""
    (tmp_path / "one" / "model").mkdir(parents=True)
    (tmp_path / "one" / "model" / "weights").write_bytes(bytes(range(256)) * 40)
    (tmp_path / "one" / "empty").write_bytes(b"")
    return tmp_path / "one"


def content(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def fetched(storage, name, tmp_path):
    into = tmp_path / "fetched"
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir()
    storage.fetch(name, into)
    return content(into)


def files_of(storage, s3):
    """Every file that really lies there, by a way of its own."""
    if "://" in storage.url:
        bucket, _, prefix = storage.url.removeprefix("s3://").partition("/")
        return s3.keys(bucket, f"{prefix}/")
    return [path for path in Path(storage.url).rglob("*") if path.is_file()]


def test_a_folder_comes_back_as_it_was_put_with_its_facts(storage, folder, tmp_path):
    storage.put(folder, "epoch-0001", files=sizes_in(folder), facts={"score": 0.5})
    assert fetched(storage, "epoch-0001", tmp_path) == content(folder)
    (name, note), *rest = storage.notes().items()
    assert (name, note.facts, rest) == ("epoch-0001", {"score": 0.5}, [])


def test_all_that_lies_in_the_parts_of_a_place_is_named(storage, folder):
    for trial, epoch in ((0, 1), (0, 2), (11, 1)):
        storage.part(f"trial-{trial:04d}").put(folder, f"epoch-{epoch:04d}", files=sizes_in(folder), facts={})
    assert storage.names() == {"trial-0000/epoch-0001", "trial-0000/epoch-0002", "trial-0011/epoch-0001"}
    assert storage.notes() == {}
    assert storage.part("trial-0001").notes() == {}


def test_what_is_put_again_replaces_what_was_there_and_its_space_is_given_back(storage, folder, tmp_path, s3):
    storage.put(folder, "epoch-0001", files=sizes_in(folder), facts={})
    (folder / "empty").write_text("not any more")
    storage.put(folder, "epoch-0001", files=sizes_in(folder), facts={})
    assert fetched(storage, "epoch-0001", tmp_path)["empty"] == b"not any more"
    assert len(files_of(storage, s3)) == 3


def test_what_is_removed_gives_its_space_back(storage, folder, s3):
    storage.put(folder, "epoch-0001", files=sizes_in(folder), facts={})
    storage.put(folder, "epoch-0002", files=sizes_in(folder), facts={})
    storage.remove("epoch-0001")
    storage.remove("epoch-0009")
    assert storage.names() == {"epoch-0002"}
    assert len(files_of(storage, s3)) == 3


def test_a_writer_that_dies_before_the_end_leaves_nothing_to_be_found_and_its_space_is_given_back(
    storage, folder, s3, monkeypatch
):
    storage.put(folder, "epoch-0001", files=sizes_in(folder), facts={})
    with monkeypatch.context() as death:
        death.setattr("genotune.storage._write", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            storage.put(folder, "epoch-0002", files=sizes_in(folder), facts={})
    assert storage.names() == {"epoch-0001"}
    assert len(files_of(storage, s3)) == 5
    storage.clear()
    assert storage.names() == {"epoch-0001"}
    assert len(files_of(storage, s3)) == 3


def test_a_folder_that_loses_a_file_before_it_is_put_is_not_put(storage, folder):
    files = sizes_in(folder)
    (folder / "model" / "weights").unlink()
    with pytest.raises(FileNotFoundError, match=r"one: lacks model/weights; was it removed meanwhile\?"):
        storage.put(folder, "epoch-0001", files=files, facts={})
    shutil.rmtree(folder)
    with pytest.raises(FileNotFoundError, match="one: lacks everything"):
        storage.put(folder, "epoch-0001", files={}, facts={})
    assert storage.notes() == {}


def test_what_lies_there_without_a_file_is_refused(storage, folder, tmp_path):
    storage.put(folder, "epoch-0001", files=sizes_in(folder), facts={})
    storage._remove(f"{storage.notes()['epoch-0001'].folder}/model/weights")
    with pytest.raises(TornError, match=r"model/weights: isn't there\. Was it removed\?"):
        fetched(storage, "epoch-0001", tmp_path)


def test_a_note_that_was_cut_short_names_nothing(folder, tmp_path):
    storage = Storage(str(tmp_path / "kept"))
    storage.put(folder, "epoch-0001", files=sizes_in(folder), facts={})
    note = tmp_path / "kept" / "epoch-0001.whole"
    note.write_bytes(note.read_bytes()[:-1])
    assert storage.notes() == {}


def test_what_lies_there_with_fewer_bytes_than_were_put_is_refused(folder, tmp_path):
    storage = Storage(str(tmp_path / "kept"))
    storage.put(folder, "epoch-0001", files=sizes_in(folder), facts={})
    (weights,) = (tmp_path / "kept").rglob("weights")
    weights.write_bytes(b"abc")
    with pytest.raises(HaltError, match=r"kept/epoch-0001: model/weights has 3 of 10240 bytes; it was changed\."):
        fetched(storage, "epoch-0001", tmp_path)


def test_what_is_not_there_can_not_be_fetched(storage, tmp_path):
    with pytest.raises(HaltError, match=r"epoch-0001: isn't there\. Was it removed\?"):
        fetched(storage, "epoch-0001", tmp_path)


def test_a_place_that_can_be_used_passes_and_nothing_stays_there(storage, s3):
    storage.check()
    assert files_of(storage, s3) == []


def test_a_bucket_that_is_not_there_is_told(s3):
    with pytest.raises(HaltError, match=r"^s3://other/kept: no such bucket\. Make it, or name another\."):
        Storage("s3://other/kept").check()


def test_a_machine_without_a_login_is_told(s3):
    s3.forget_login()
    with pytest.raises(HaltError, match=r"^s3://box/kept: this machine has no login for it: set AWS_PROFILE or AWS"):
        Storage("s3://box/kept").check()


def test_a_login_that_may_do_nothing_is_told(s3):
    message = r"^s3://box/kept: no permission to write and read there .*: set AWS_PROFILE"
    with refusing_server() as port:
        s3.point_to(port)
        with pytest.raises(HaltError, match=message):
            Storage("s3://box/kept").check()


def test_a_folder_that_is_a_file_is_told(tmp_path):
    (tmp_path / "kept").write_text("")
    with pytest.raises(HaltError, match=r"kept: a file is in the way\. Name a folder\."):
        Storage(str(tmp_path / "kept")).check()


def test_a_package_that_is_missing_is_named_with_its_fix(monkeypatch):
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(
        HaltError, match=r"^gs://box/kept: gs:// takes a package that isn't installed: pip install gcsfs"
    ):
        Storage("gs://box/kept").check()


class Rescue(logging.Handler):
    """Brings the server back when somebody has been told that it is away."""

    def __init__(self, s3):
        super().__init__()
        self.s3 = s3
        self.told = []

    def emit(self, record):
        self.told.append(record.getMessage())
        self.s3.start()


def test_a_server_that_is_away_for_a_moment_is_waited_for(s3, folder, tmp_path):
    storage, rescue = Storage("s3://box/kept", patience_s=60), Rescue(s3)
    logger = logging.getLogger("genotune.storage")
    s3.stop()
    logger.addHandler(rescue)
    try:
        storage.put(folder, "epoch-0001", files=sizes_in(folder), facts={})
    finally:
        logger.removeHandler(rescue)
    (told,) = rescue.told
    assert told.startswith("s3://box/kept is away (")
    assert fetched(storage, "epoch-0001", tmp_path) == content(folder)


def test_a_server_that_stays_away_is_told_after_the_patience(s3, folder):
    s3.stop()
    with pytest.raises(HaltError, match=r"^s3://box/kept: can't be reached \(.*\)\. Is the network up\?"):
        Storage("s3://box/kept", patience_s=0).put(folder, "epoch-0001", files=sizes_in(folder), facts={})


def test_a_path_lies_beside_the_spec_and_an_address_where_it_says(tmp_path):
    assert storage_at("kept", tmp_path).url == str(tmp_path / "kept")
    assert storage_at(str(tmp_path / "there"), tmp_path / "here").url == str(tmp_path / "there")
    assert storage_at("s3://box/kept/", tmp_path).url == "s3://box/kept"


def test_no_login_of_an_address_stands_in_a_fault():
    with pytest.raises(HaltError, match=r"s3://\*\*\*@box/kept: ") as caught:
        Storage("s3://me:hush@box/kept", patience_s=0).check()
    assert "hush" not in str(caught.value)
