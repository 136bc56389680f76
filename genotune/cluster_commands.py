"""The commands of a person's desk for sweeps on a cluster: submit; and list, status, logs, stop with --address."""

import json
import shlex
import sys
from pathlib import Path
from typing import Annotated, Final

import typer

AddressOption = Annotated[
    str | None,
    typer.Option(
        help="A cluster that sweeps are submitted to: a name in ~/.config/genotune/clusters.yaml, or its dashboard's, "
        "e.g. http://127.0.0.1:8265."
    ),
]
SubmitAddressOption = Annotated[
    str | None,
    typer.Option(
        help="A name in ~/.config/genotune/clusters.yaml (else its default), or the address of the cluster's "
        "dashboard, e.g. http://127.0.0.1:8265."
    ),
]
_STOP_TIMEOUT_S: Final = 120.0


def add_cluster_commands(app: typer.Typer) -> None:
    """Make the commands known to the command line."""
    app.command("submit")(submit)
    app.command("supervise", hidden=True)(supervise)


def submit(
    spec: Annotated[Path, typer.Argument(metavar="SPEC", help="The search-space file (YAML).")],
    address: SubmitAddressOption = None,
    *,
    name: Annotated[
        str | None,
        typer.Option("--as", metavar="NAME", help="Of the sweep; one of this name that has begun goes on."),
    ] = None,
    wait: Annotated[
        bool, typer.Option(help="Until the sweep has begun, and show what it says; or just submit.")
    ] = True,
) -> None:
    """Run the sweep on a cluster: its driver works there, survives this machine, and is started again if it dies."""
    from genotune.cluster_jobs import ClusterJobs
    from genotune.profiles import profile_of
    from genotune.submission import first_lines
    from genotune.submission import submit as submit_spec
    from genotune.terminal import show_text

    profile = profile_of(address)
    found = submit_spec(spec, profile, name=name)
    at = f" --address {shlex.quote(address)}" if address else ""
    show_text(
        f"Submitted {found.name} ({found.n_bytes / 1e6:.1f} MB travelled); its record: {found.place}/{found.name}"
    )
    try:
        if wait:
            for line in first_lines(ClusterJobs(profile), found.name):
                show_text(line)
    finally:
        show_text(f"Follow it: genotune logs -f {found.name}{at}    End it: genotune stop {found.name}{at}")


def supervise(
    spec: Annotated[Path, typer.Argument(metavar="SPEC")],
    *,
    name: Annotated[str, typer.Option("--as")],
    desk: Annotated[str, typer.Option(help="Versions of the machine that submitted it.")],
    cluster: Annotated[Path | None, typer.Option()] = None,
    driver_nodes: Annotated[bool, typer.Option("--driver-nodes")] = False,
) -> None:
    """Keep the driver of a submitted sweep at work; what `genotune submit` runs on the cluster's head."""
    from genotune.supervision import supervise as keep_at_work
    from genotune.versions import check_versions, here, read_versions

    def say(line: str) -> None:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()

    for note in check_versions(read_versions(desk), here()):
        say(f"note {note}")
    command = [sys.executable, "-m", "genotune.cli", "run", str(spec), "--as", name]
    command += [] if cluster is None else ["--cluster", str(cluster)]
    raise typer.Exit(keep_at_work(command, address=None, has_driver_nodes=driver_nodes, say=say))


def list_at(address: str, *, as_json: bool) -> None:
    """The sweeps that were submitted to a cluster, the latest first."""
    from genotune.cluster_jobs import ClusterJobs
    from genotune.profiles import profile_of
    from genotune.sweep_tables import show_submitted
    from genotune.terminal import show_text

    cluster = ClusterJobs(profile_of(address))
    jobs = cluster.sweeps()
    if as_json:
        show_text(json.dumps([job._asdict() for job in jobs], indent=2))
    elif not jobs:
        show_text(f"No sweep was submitted to {cluster.address}.")
    else:
        show_submitted(jobs)


def status_at(sweep: str, address: str, *, as_json: bool) -> None:
    """How a submitted sweep stands, as its record in the storage tells it on the cluster."""
    from genotune.cluster_jobs import ClusterJobs
    from genotune.profiles import profile_of
    from genotune.submission import ask_cluster, place_of
    from genotune.terminal import show_text

    cluster = ClusterJobs(profile_of(address))
    job = cluster.sweep(sweep)
    arguments = ["status", place_of(job), *(["--json"] if as_json else [])]
    show_text(ask_cluster(cluster, arguments, name=job.name).rstrip("\n"))


def logs_at(sweep: str, address: str, *, follow: bool) -> None:
    """What the drivers of a submitted sweep have printed."""
    from genotune.cluster_jobs import ClusterJobs
    from genotune.profiles import profile_of
    from genotune.terminal import show_text

    cluster = ClusterJobs(profile_of(address))
    job = cluster.sweep(sweep)
    for line in cluster.follow(job.name) if follow else cluster.log(job.name).splitlines():
        show_text(line)


def stop_at(sweep: str, address: str, *, trial: int | None, choose: bool) -> None:
    """Stop a submitted sweep, to go on later; or one of its trials; or end it with a winner."""
    from genotune.cluster_jobs import ClusterJobs
    from genotune.errors import SweepError
    from genotune.profiles import profile_of
    from genotune.submission import ask_cluster, place_of
    from genotune.terminal import show_text

    cluster = ClusterJobs(profile_of(address))
    job = cluster.sweep(sweep)
    if job.has_ended:
        raise SweepError(f"{job.name}: it has ended already ({job.status}); there is nothing to stop.")
    if trial is not None or choose:
        wanted = ["--choose"] if choose else ["--trial", str(trial)]
        show_text(ask_cluster(cluster, ["stop", place_of(job), *wanted], name=job.name).rstrip("\n"))
        return
    cluster.stop(job.name)
    show_text(f"Asked {job.name} to stop: its driver writes down where it stands.")
    if cluster.wait(job.name, timeout_s=_STOP_TIMEOUT_S) not in ("stopped", "succeeded", "failed"):
        raise SweepError(f"{job.name}: has not ended yet. Look again: genotune list --address {address}")
    show_text(f"It has ended. To go on: genotune submit {job.spec} --as {job.name} --address {address}")
