"""A real Slurm on this machine: a munged, a slurmctld and one slurmd a node, ended by their ids."""

import contextlib
import getpass
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from builders import clean_environment
from servers import free_port

_PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "scontrol", "squeue")
# `genotune` is this Python's own; Debian keeps the daemons out of a person's PATH.
_PATH = f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
_CONF = """\
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmUser={user}
SlurmdUser={user}
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
ReturnToService=2
MinJobAge=3600
FirstJobId={first_job}
KillWait=60
JobCompType=jobcomp/none
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
PropagateResourceLimits=NONE
SchedulerParameters=batch_sched_delay=0,sched_interval=1
SlurmdParameters=config_overrides
{nodes}
PartitionName=all Nodes={names} Default=YES MaxTime=INFINITE State=UP
"""


def missing_program() -> str | None:
    """The first of Slurm's and MUNGE's programs that this machine lacks."""
    return next((name for name in _PROGRAMS if shutil.which(name, path=_PATH) is None), None)


class SlurmMachine:
    """Nodes of two CPUs each, all of them on this machine; a context manager.

    Args:
        n_nodes: how many.

    Attributes:
        environment: of whoever talks to it.
    """

    def __init__(self, *, n_nodes: int) -> None:
        self._after = contextlib.ExitStack()
        self._names = [f"n{number}" for number in range(1, n_nodes + 1)]

    def __enter__(self) -> "SlurmMachine":
        self._folder = Path(
            self._after.enter_context(tempfile.TemporaryDirectory(prefix="gts", dir="/tmp", ignore_cleanup_errors=True))
        )
        self.environment = {
            **clean_environment(),
            "PATH": _PATH,
            "SLURM_CONF": str(self._folder / "slurm.conf"),
        }
        for name in [name for name in self.environment if name.startswith(("SLURM_", "SBATCH_", "SRUN_"))]:
            if name != "SLURM_CONF":
                del self.environment[name]
        try:
            self._start()
        except BaseException:
            self._after.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._end_jobs()
        finally:
            self._after.close()

    def call(self, *command: object) -> str:
        """What a command of Slurm's prints."""
        done = subprocess.run(
            [str(part) for part in command],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, (command, done.stdout, done.stderr, self.logs())
        return done.stdout.strip()

    def job(self, number: str) -> dict[str, str]:
        """What Slurm knows of a job, by Slurm's own names."""
        pairs = self.call("scontrol", "show", "job", number, "--oneliner").split()
        return dict(pair.partition("=")[::2] for pair in pairs if "=" in pair)

    def wait_for_end(self, number: str, *, timeout_s: float) -> dict[str, str]:
        """A job that has ended."""
        deadline = time.monotonic() + timeout_s
        while (job := self.job(number))["JobState"] in ("PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "REQUEUED"):
            if job["JobState"] == "PENDING" and job.get("Reason") == "BeginTime":  # Slurm waits two minutes itself
                self.call("scontrol", "update", f"JobId={number}", "StartTime=now")
            assert time.monotonic() < deadline, (job, self.logs())
            time.sleep(0.5)
        return job

    def logs(self) -> str:
        """The last lines of each daemon's log."""
        return "\n".join(
            f"--- {path.name}\n" + "\n".join(path.read_text(errors="replace").splitlines()[-30:])
            for path in sorted(self._folder.glob("*.log"))
        )

    def _start(self) -> None:
        folder = self._folder
        folder.chmod(0o755)  # munged asks that others can reach its socket
        (folder / "state").mkdir()
        key = folder / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(os.urandom(128))
        nodes = "\n".join(
            f"NodeName={name} NodeHostname={socket.gethostname()} NodeAddr={_own_address()} Port={free_port()} CPUs=2"
            for name in self._names
        )
        (folder / "slurm.conf").write_text(
            _CONF.format(
                host=socket.gethostname(),
                controller_port=free_port(),
                user=getpass.getuser(),
                folder=folder,
                first_job=random.randrange(1, 50_000),  # ports and folders of a job go by its number
                nodes=nodes,
                names=",".join(self._names),
            )
        )
        self._daemon(
            "munged",
            "--foreground",
            "--force",
            f"--socket={folder}/munge.socket",
            f"--key-file={key}",
            f"--log-file={folder}/munged.log",
            f"--pid-file={folder}/munged.pid",
            f"--seed-file={folder}/munged.seed",
            "--num-threads=2",
        )
        self._wait_until((folder / "munge.socket").exists)
        self._daemon("slurmctld", "-D", "-i")
        for name in self._names:
            (folder / f"spool-{name}").mkdir()
            self._daemon("slurmd", "-D", "-N", name)
        self._wait_until(lambda: self._idle_nodes() == len(self._names))

    def _end_jobs(self) -> None:
        """Nothing that a job started outlives its Slurm."""
        self.call("scancel", "--full", "--user", getpass.getuser())
        self._wait_until(lambda: self.call("squeue", "--noheader") == "")

    def _idle_nodes(self) -> int:
        done = subprocess.run(
            ["sinfo", "--noheader", "--Node", "--format=%T"],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return done.stdout.split().count("idle")

    def _daemon(self, *command: str) -> None:
        with (self._folder / f"{command[0]}-{command[-1].strip('-')[:2]}.output.log").open("w") as sink:
            process = subprocess.Popen(
                command, env=self.environment, stdout=sink, stderr=sink, cwd=self._folder, start_new_session=True
            )
        self._after.callback(_end, process)

    def _wait_until(self, is_so: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 120
        while not is_so():
            assert time.monotonic() < deadline, self.logs()
            time.sleep(0.2)


def _own_address() -> str:
    """Of this machine, as Ray gives it: a node that is told to be 127.0.0.1 takes another address of its machine."""
    from ray.util import get_node_ip_address

    return str(get_node_ip_address())


def _end(process: subprocess.Popen) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(timeout=20)
