"""Checkpoints: whole or not there, the best and the last kept."""

import math
import shutil

import pytest

from genotune.checkpoints import CheckpointFolder, checkpoint_of_another
from genotune.storage import Storage
from genotune.trainables.trainable import FitError, Progress


class Stub:
    """A model whose file says which epoch it is of."""

    def __init__(self, epoch):
        self.epoch = epoch

    def save(self, folder):
        (folder / "model.json").write_text(str(self.epoch))


def write(folder, epoch, score):
    progress = Progress(
        epoch, Stub(epoch), {}, lambda path, *, value: (path / "state.json").write_text(f"{epoch} {value}")
    )
    return folder.write(progress, score=score, metrics={"validation.pearson": score})


def epochs(folder):
    return [checkpoint.epoch for checkpoint in folder.all()]


def test_the_best_and_the_last_are_kept(tmp_path):
    folder = CheckpointFolder(tmp_path / "trial", best=1, last=1)
    kept = []
    for epoch, score in enumerate([0.1, 0.5, 0.3, 0.2, 0.6, 0.4], start=1):
        write(folder, epoch, score)
        kept.append(epochs(folder))
    assert kept == [[1], [2], [2, 3], [2, 4], [5], [5, 6]]


def test_more_are_kept_when_asked(tmp_path):
    folder = CheckpointFolder(tmp_path / "trial", best=2, last=2)
    for epoch, score in enumerate([0.9, 0.5, 0.8, 0.1, 0.2, 0.3], start=1):
        write(folder, epoch, score)
    assert epochs(folder) == [1, 3, 5, 6]


def test_of_two_equal_the_earlier_is_the_best(tmp_path):
    folder = CheckpointFolder(tmp_path / "trial", best=1, last=1)
    for epoch in (1, 2, 3):
        write(folder, epoch, 0.5)
    assert epochs(folder) == [1, 3]


def test_a_value_that_is_no_number_is_the_worst_and_comes_back_as_nan(tmp_path):
    folder = CheckpointFolder(tmp_path / "trial", best=1, last=1)
    write(folder, 1, 0.1)
    write(folder, 2, math.nan)
    write(folder, 3, 0.05)
    assert epochs(folder) == [1, 3]
    write(folder, 4, math.nan)
    latest = folder.latest()
    assert latest.epoch == 4
    assert latest.score == -math.inf
    assert math.isnan(latest.metrics["validation.pearson"])


def test_a_checkpoint_holds_the_model_the_state_and_the_report(tmp_path):
    folder = CheckpointFolder(tmp_path / "trial", best=1, last=1)
    written = write(folder, 7, 0.25)
    assert (written.model / "model.json").read_text() == "7"
    assert (written.state / "state.json").read_text() == "7 0.25"
    assert CheckpointFolder(tmp_path / "trial", best=1, last=1).latest() == written


def test_a_death_while_writing_leaves_the_checkpoint_before(tmp_path):
    folder = CheckpointFolder(tmp_path / "trial", best=1, last=1)
    write(folder, 1, 0.1)

    def die(path, *, value):
        (path / "half").write_text("")
        raise KeyboardInterrupt("killed")

    with pytest.raises(KeyboardInterrupt, match="killed"):
        folder.write(Progress(2, Stub(2), {}, die), score=0.9, metrics={})
    assert folder.latest().epoch == 1
    write(folder, 2, 0.9)
    assert [path.name for path in sorted((tmp_path / "trial").iterdir())] == ["epoch-0002"]


def test_a_trial_that_has_none_has_no_latest(tmp_path):
    assert CheckpointFolder(tmp_path / "trial", best=1, last=1).latest() is None


@pytest.fixture
def storage(tmp_path):
    return Storage(str(tmp_path / "kept" / "trial"))


def test_a_storage_holds_what_is_kept_and_no_more(tmp_path, storage):
    folder = CheckpointFolder(tmp_path / "trial", best=1, last=1, storage=storage)
    kept = []
    for epoch, score in enumerate([0.1, 0.5, 0.3, 0.2, 0.6, 0.4], start=1):
        write(folder, epoch, score)
        kept.append(sorted(storage.names()))
    names = [f"epoch-{epoch:04d}" for epoch in range(7)]
    assert kept == [[names[e] for e in those] for those in ([1], [2], [2, 3], [2, 4], [5], [5, 6])]
    assert len([path for path in (tmp_path / "kept").rglob("*") if path.is_file()]) == 2 * 4


def test_a_trial_whose_folder_is_lost_goes_on_from_the_storage_and_forgets_no_best(tmp_path, storage):
    folder = CheckpointFolder(tmp_path / "trial", best=1, last=1, storage=storage)
    for epoch, score in ((1, 0.9), (2, 0.2), (3, math.nan)):
        write(folder, epoch, score)
    again = CheckpointFolder(tmp_path / "elsewhere", best=1, last=1, storage=storage)
    latest = again.latest()
    assert latest.path == tmp_path / "elsewhere" / "epoch-0003"
    assert (latest.state / "state.json").read_text() == "3 nan"
    assert (latest.model / "model.json").read_text() == "3"
    write(again, 4, 0.3)
    assert epochs(again) == [1, 4]
    assert sorted(storage.names()) == ["epoch-0001", "epoch-0004"]


def test_a_checkpoint_that_a_death_kept_from_the_storage_is_put_there_when_the_trial_goes_on(tmp_path, storage):
    write(CheckpointFolder(tmp_path / "trial", best=1, last=1), 1, 0.5)
    again = CheckpointFolder(tmp_path / "trial", best=1, last=1, storage=storage)
    assert again.latest().epoch == 1
    assert storage.names() == {"epoch-0001"}


def test_a_checkpoint_that_the_disk_lost_with_its_power_is_none(tmp_path):
    folder = CheckpointFolder(tmp_path / "trial", best=1, last=1)
    write(folder, 1, 0.5)
    write(folder, 2, 0.6)
    write(folder, 3, 0.1)
    (tmp_path / "trial" / "epoch-0003" / "report.json").write_bytes(b"")
    assert folder.latest().epoch == 2
    write(folder, 3, 0.1)
    assert epochs(folder) == [2, 3]


def test_a_checkpoint_whose_files_the_disk_lost_with_its_power_is_none(tmp_path):
    folder = CheckpointFolder(tmp_path / "trial", best=1, last=1)
    write(folder, 1, 0.6)
    write(folder, 2, 0.5)
    (tmp_path / "trial" / "epoch-0002" / "model" / "model.json").write_bytes(b"")
    assert folder.latest().epoch == 1


def test_a_trial_goes_on_from_an_earlier_epoch_where_the_storage_lost_a_part_of_the_last(tmp_path, storage, caplog):
    folder = CheckpointFolder(tmp_path / "trial", best=1, last=1, storage=storage)
    write(folder, 1, 0.9)
    write(folder, 2, 0.5)
    (lost,) = (tmp_path / "kept" / "trial").glob("epoch-0002-*/model/model.json")
    lost.unlink()
    again = CheckpointFolder(tmp_path / "elsewhere", best=1, last=1, storage=storage)
    assert again.latest().epoch == 1
    assert "goes on from an earlier epoch" in caplog.text
    assert storage.names() == {"epoch-0001"}


def test_what_a_generation_began_with_is_kept_until_it_has_ended(tmp_path):
    """Others may go on from the ends of generations, at 2 and 4, as long as this one is within the next."""
    folder = CheckpointFolder(tmp_path / "trial", best=1, last=1, generation_epochs=2)
    kept = []
    for epoch in range(1, 8):
        write(folder, epoch, 1 / epoch)
        kept.append(epochs(folder))
    assert kept == [[1], [1, 2], [1, 2, 3], [1, 2, 4], [1, 4, 5], [1, 4, 6], [1, 6, 7]]


def test_a_checkpoint_of_another_trial_is_read_fetched_or_told_to_be_gone(tmp_path, storage):
    written = write(CheckpointFolder(tmp_path / "trial", best=1, last=1, storage=storage), 7, 0.25)
    assert checkpoint_of_another(written.path, None) == written
    shutil.rmtree(written.path)
    with pytest.raises(FitError, match=r"trial/epoch-0007: this checkpoint, .* is gone\. Was it removed by hand\?"):
        checkpoint_of_another(written.path, None)
    assert checkpoint_of_another(written.path, storage) == written
    assert (written.state / "state.json").read_text() == "7 0.25"
    shutil.rmtree(written.path)
    (lost,) = (tmp_path / "kept" / "trial").glob("epoch-0007-*/state/state.json")
    lost.unlink()
    with pytest.raises(FitError, match="The checkpoint that the trial is to go on from is torn: "):
        checkpoint_of_another(written.path, storage)
