"""What a trial's process writes, in a file of the trial's own."""

import subprocess
import sys

import pytest

from genotune.trial_log import LOG_FILE, last_log_lines, logged

BEFORE = "import logging, os, sys\nfrom pathlib import Path\nfrom genotune.trial_log import logged\n"


def run(tmp_path, body):
    """A process of its own, which has a standard output and error of its own."""
    program = BEFORE + body.replace("FOLDER", f"Path({str(tmp_path)!r})")
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)


def test_what_python_and_c_write_and_what_genotune_logs_is_in_the_log_and_nothing_after(tmp_path):
    body = (
        "with logged(FOLDER / 'trial-0000', 'trial 0: toy'):\n"
        "    print('from python')\n"
        "    os.write(2, b'from below python\\n')\n"
        "    logging.getLogger('genotune.trial').info('epoch %d of 9', 1)\n"
        "print('afterwards')\n"
        "logging.getLogger('genotune.trial').info('not told')\n"
    )
    result = run(tmp_path, body)
    assert (result.returncode, result.stdout, result.stderr) == (0, "afterwards\n", "")
    lines = (tmp_path / "trial-0000" / LOG_FILE).read_text().splitlines()
    assert lines[0].endswith(" trial 0: toy")
    assert {"from python", "from below python"} <= {*lines}
    assert sum(line.endswith(" epoch 1 of 9") for line in lines) == 1
    assert len(lines) == 4


def test_a_trial_that_is_tried_again_adds_to_its_log(tmp_path):
    for _ in range(2):
        with logged(tmp_path, "again"):
            pass
    assert len((tmp_path / LOG_FILE).read_text().splitlines()) == 2


def test_an_exception_is_written_with_its_traceback_and_raised_on(tmp_path):
    result = run(tmp_path, "with logged(FOLDER, 'trial 0'):\n    raise ValueError('no such thing')\n")
    assert result.returncode == 1
    assert result.stderr.endswith("ValueError: no such thing\n")
    assert "Traceback" in (tmp_path / LOG_FILE).read_text()
    assert last_log_lines(tmp_path, 1) == "ValueError: no such thing"


def test_a_process_that_dies_leaves_what_it_wrote(tmp_path):
    body = "with logged(FOLDER, 'trial 0'):\n    print('before', flush=True)\n    os.kill(os.getpid(), 9)\n"
    assert run(tmp_path, body).returncode == -9
    assert last_log_lines(tmp_path, 1) == "before"


def test_the_last_lines_are_few_and_those_of_no_log_none(tmp_path):
    assert last_log_lines(tmp_path, 5) == ""
    (tmp_path / LOG_FILE).write_text("".join(f"line {n}\n" for n in range(100_000)))
    assert last_log_lines(tmp_path, 2) == "line 99998\nline 99999"


def test_other_workers_have_logs_of_their_own(tmp_path):
    run(tmp_path, "with logged(FOLDER, 'worker 1 of 2', rank=1):\n    print('here')\n")
    assert "here" in (tmp_path / "log-1.txt").read_text()
    assert not (tmp_path / LOG_FILE).exists()


def test_a_folder_that_cannot_be_made_is_told_as_such(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError), logged(tmp_path / "file" / "trial-0000", "trial 0"):
        pass
