"""The Slurm script, linted and run under a real Slurm."""

import shutil
import subprocess
import time
from pathlib import Path

import pytest
from cluster_files.slurm_machine import SlurmMachine, missing_program

from genotune.journal import read_state
from sweeps import sweep_folder

SCRIPT = Path(__file__).parents[2] / "cluster" / "slurm.sbatch"


@pytest.fixture
def slurm_of(request):
    """Starts a Slurm of so many nodes; it ends with the test."""
    missing = missing_program()
    if missing is not None:
        pytest.skip(f"needs Slurm and MUNGE: {missing} of Debian's packages slurm-wlm and munge")
    machines = []

    def start(n_nodes):
        machines.append(SlurmMachine(n_nodes=n_nodes))
        return machines[-1].__enter__()

    yield start
    for machine in machines:
        machine.__exit__()


def submit(slurm, spec, *options):
    command = ["sbatch", "--parsable", f"--chdir={spec.parent}", f"--export=ALL,SPEC={spec.name},NAME=tiny-on-slurm"]
    return slurm.call(*command, "--cpus-per-task=1", *options, SCRIPT)


def output(spec):
    return "\n".join(path.read_text() for path in spec.parent.glob("genotune-*.log"))


def test_shellcheck_finds_nothing():
    if shutil.which("shellcheck") is None:
        pytest.skip("needs shellcheck of Debian's package shellcheck")
    done = subprocess.run(["shellcheck", SCRIPT], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("n_nodes", [1, 2])
def test_a_job_runs_a_sweep_on_all_of_its_nodes_and_leaves_nothing(slurm_of, tiny, n_nodes):
    slurm = slurm_of(n_nodes)
    job = submit(slurm, tiny, f"--nodes={n_nodes}")
    ended = slurm.wait_for_end(job, timeout_s=600)
    assert ended["ExitCode"] == "0:0", output(tiny)
    state = read_state(sweep_folder(tiny.parent))
    assert {trial.status for trial in state.trials.values()} <= {"complete", "stopped"}, output(tiny)
    assert len(state.trials) == 5
    assert not list((tiny.parent / ".genotune" / "slurm").iterdir())
    assert not list(Path("/tmp").glob(f"ray-job{job}-*"))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_job_whose_time_is_up_runs_again_and_goes_on(slurm_of, edited):
    spec = edited(("budget: {trials: 5}", "budget: {trials: 16}"))
    slurm = slurm_of(1)
    job = submit(slurm, spec)
    wait_for_trial(spec, slurm)
    slurm.call("scancel", "--batch", "--signal=USR1", job)  # what Slurm sends before the time is up
    ended = slurm.wait_for_end(job, timeout_s=800)
    assert (ended["Restarts"], ended["ExitCode"]) == ("1", "0:0"), output(spec)
    assert "The time is up; the sweep goes on when the job runs again." in output(spec)
    assert len(read_state(sweep_folder(spec.parent)).trials) == 16


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_job_that_is_cancelled_stays_so_and_its_sweep_is_recorded_as_interrupted(slurm_of, edited):
    spec = edited(("budget: {trials: 5}", "budget: {trials: 400}"))
    slurm = slurm_of(1)
    job = submit(slurm, spec)
    wait_for_trial(spec, slurm)
    slurm.call("scancel", "--batch", "--signal=TERM", job)
    ended = slurm.wait_for_end(job, timeout_s=600)
    assert (ended["Restarts"], ended["ExitCode"]) == ("0", "130:0"), output(spec)
    assert read_state(sweep_folder(spec.parent)).status == "interrupted"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_job_without_a_name_for_its_sweep_says_how_to_give_one(slurm_of, tiny):
    slurm = slurm_of(1)
    job = submit(slurm, tiny, "--export=ALL,SPEC=tiny.yaml")
    assert slurm.wait_for_end(job, timeout_s=300)["JobState"] == "FAILED"
    assert "NAME: names the sweep, so that the job after this one finds it: sbatch" in output(tiny)


def wait_for_trial(spec, slurm):
    deadline = time.monotonic() + 400
    while not list((spec.parent / ".genotune" / "sweeps").glob("*/journal*")) or not any(
        trial.curve for trial in read_state(sweep_folder(spec.parent)).trials.values()
    ):
        assert time.monotonic() < deadline, (output(spec), slurm.logs())
        time.sleep(0.2)
