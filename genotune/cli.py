"""The command line: parses, calls one function, and turns what came of it into an exit code.

Exit codes: 0 done, 1 a defect of ours, 2 something that the person can mend, 130 interrupted.
Heavy libraries come in inside the commands, so that help and a broken spec are answered at once.
"""

import atexit
import errno
import logging
import os
import signal
import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from genotune.cluster_commands import add_cluster_commands
from genotune.raylet_watch import ray_loss
from genotune.sweep_commands import add_sweep_commands

_DONE: Final = 0
_OURS: Final = 1
_THEIRS: Final = 2
_INTERRUPTED: Final = 130

_PLACES: Final = frozenset(
    {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENOTDIR, errno.ENAMETOOLONG}
)
"""Faults of a folder or disk that the person chose, not of ours."""

app = typer.Typer(
    name="genotune",
    help="Tune models of the genome: one search-space file in, a fairly tested, recorded winner out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

SpecArgument = Annotated[Path, typer.Argument(metavar="SPEC", help="The search-space file (YAML).")]
WorkspaceOption = Annotated[
    Path | None,
    typer.Option(help="Where sweeps are kept; else GENOTUNE_WORKSPACE, the spec's word, or .genotune here."),
]
AddressOption = Annotated[
    str | None, typer.Option(help="A Ray cluster to join; else RAY_ADDRESS, or a Ray of our own on this machine.")
]
ClusterOption = Annotated[
    Path | None,
    typer.Option(
        "--cluster",
        metavar="FILE",
        help="A cluster file (Ray's launcher or KubeRay): its node types say what the cluster at --address may start, "
        "its prices what trials cost.",
    ),
]
VerboseOption = Annotated[int, typer.Option("-v", "--verbose", count=True, help="Say more; -vv says most.")]


def _show_version(wanted: bool) -> None:
    if wanted:
        from genotune.terminal import show_text
        from genotune.versions import here

        show_text(str(here()))
        raise typer.Exit


@app.command()
def new(
    data: Annotated[
        list[Path],
        typer.Argument(
            metavar="DATA...",
            help="bigWig tracks, their FASTA, optionally a BED to exclude; or genotypes (.bed, .pgen, .vcf.gz, .bcf) "
            "and, optionally, a table of their samples (.tsv, .csv, .txt, .parquet).",
        ),
    ],
    out: Annotated[Path, typer.Option("-o", "--out", help="The file to write.")] = Path("sweep.yaml"),
    trait: Annotated[
        str | None, typer.Option(help="Of genotypes: the column of the table to predict, where several can be.")
    ] = None,
) -> None:
    """Look at the files and write a sensible, commented search-space file: where a beginner starts."""
    from genotune.data.new_spec import write_spec
    from genotune.errors import UserError
    from genotune.terminal import show_text

    if out.exists():
        raise UserError(f"{out}: is there already; name another file with -o, or move it away.")
    write_spec(data, out, trait=trait)
    show_text(f"Wrote {out}. Next: genotune check {out}")


@app.command()
def check(
    spec: SpecArgument,
    address: AddressOption = None,
    cluster: Annotated[
        Path | None,
        typer.Option(
            "--cluster",
            metavar="FILE",
            help="A cluster file (Ray's launcher or KubeRay): trials are held against its node types, at its prices, "
            "rather than against live machines, those of --address too.",
        ),
    ] = None,
    verbose: VerboseOption = 0,
) -> None:
    """Say what a sweep would do, or everything that keeps it from running; decode and train nothing."""
    from genotune.sweep_group import check as check_spec
    from genotune.terminal import show_check

    _log_to_stderr(verbose)
    show_check(check_spec(spec, address=address, cluster=cluster))


@app.command()
def run(
    spec: SpecArgument,
    workspace: WorkspaceOption = None,
    address: AddressOption = None,
    cluster: ClusterOption = None,
    *,
    name: Annotated[
        str | None,
        typer.Option(
            "--as",
            metavar="NAME",
            help="Of the sweep: the same command again goes on with it, from this workspace or from its storage.",
        ),
    ] = None,
    verbose: VerboseOption = 0,
) -> None:
    """Run the sweep, or each of a group: read the data, try, stop, choose, test on untouched contigs, record."""
    _log_to_stderr(verbose)
    from genotune.sweep_group import run as run_spec
    from genotune.terminal import Terminal

    with Terminal() as terminal:
        run_spec(spec, workspace=workspace, address=address, face=terminal, cluster=cluster, name=name)


@app.command()
def resume(
    sweep: Annotated[
        str,
        typer.Argument(metavar="SWEEP", help="Its name in the workspace, its folder, or its place in a storage."),
    ],
    workspace: WorkspaceOption = None,
    address: AddressOption = None,
    cluster: Annotated[
        Path | None,
        typer.Option(
            "--cluster",
            metavar="FILE",
            help="A cluster file: its node types say what the cluster at --address may start; prices stay as they are.",
        ),
    ] = None,
    *,
    extend: Annotated[
        list[str] | None,
        typer.Option(metavar="LIMIT=AMOUNT", help="Raise a limit of its budget: trials, hours, epochs or cost."),
    ] = None,
    as_it_began: Annotated[
        bool, typer.Option("--as-it-began", help="With the spec that it began with, whatever its file says now.")
    ] = False,
    verbose: VerboseOption = 0,
) -> None:
    """Go on with a sweep, or a group of them, after any death of its driver; or after its end, with a larger budget."""
    _log_to_stderr(verbose)
    from genotune.extension import read_extension
    from genotune.going_on import GoingOn
    from genotune.sweep_group import resume as resume_sweep
    from genotune.terminal import Terminal

    going_on = GoingOn(read_extension(extend or []), as_it_began)
    with Terminal() as terminal:
        resume_sweep(sweep, workspace=workspace, address=address, face=terminal, going_on=going_on, cluster=cluster)


@app.command()
def predict(
    model: Annotated[
        str,
        typer.Argument(metavar="MODEL", help="Its name in MLflow (NAME, NAME@ALIAS, models:/NAME/3), or its folder."),
    ],
    genotypes: Annotated[
        list[str],
        typer.Argument(
            metavar="GENOTYPES...", help="Of a cohort: .bed, .pgen, .vcf.gz, .bcf; one, or one a chromosome."
        ),
    ],
    *,
    out: Annotated[Path, typer.Option("-o", "--out", help="The table to write.")] = Path("predictions.tsv"),
    samples: Annotated[
        Path | None, typer.Option(help="A table of the samples with the covariates that the model takes.")
    ] = None,
    table: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=PATH", help="A further table that the model takes, by its name in the spec."),
    ] = None,
    fill_columns: Annotated[
        bool, typer.Option("--fill-columns", help="Take columns of further tables that are not there as unknown.")
    ] = False,
    min_coverage: Annotated[
        float, typer.Option(min=0, max=1, help="Share of the model's variants that the cohort must have.")
    ] = 0.9,
    dosage_field: Annotated[str | None, typer.Option(help="Of a VCF: GT (called genotypes) or DS (dosages).")] = None,
    workspace: WorkspaceOption = None,
    verbose: VerboseOption = 0,
) -> None:
    """Predict the trait, or traits, of a cohort's samples with a model of genotypes."""
    _log_to_stderr(verbose)
    from genotune.interpretation.predicting import predict as predict_table
    from genotune.terminal import show_text
    from genotune.workspace import workspace_of

    found = predict_table(
        model,
        genotypes,
        out,
        samples=samples,
        min_coverage=min_coverage,
        dosage_field=dosage_field,
        workspace=workspace_of(None, workspace),
        tables=_named_paths(table or []),
        fills=fill_columns,
    )
    for note in found.notes:
        show_text(f"note {note}")
    show_text(f"Wrote {out}: {found.n_samples:,} samples.")


def _named_paths(options: list[str]) -> dict[str, Path]:
    """Paths by name, of options such as 'expression=expr.tsv'."""
    from genotune.errors import UserError

    found: dict[str, Path] = {}
    for option in options:
        name, equals, path = option.partition("=")
        if not (name and equals and path):
            raise UserError(f"--table {option}: no NAME=PATH. Write e.g. --table expression=expr.tsv.")
        if name in found:
            raise UserError(f"--table {option}: {name} is named twice. Remove one.")
        found[name] = Path(path)
    return found


@app.command()
def ui(
    workspace: WorkspaceOption = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Where it listens, on this machine only.")] = 5000,
) -> None:
    """Open MLflow's UI on this workspace, until Ctrl-C."""
    from genotune.tracking import ui_command
    from genotune.workspace import workspace_of

    command = ui_command(workspace_of(None, workspace), port=port)
    os.execv(command[0], command)


add_sweep_commands(app)
add_cluster_commands(app)


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Say the version, and Ray's.")
    ] = False,
) -> None:
    """Tune models of the genome: one search-space file in, a fairly tested, recorded winner out."""


def main() -> None:
    """The console script. It ends at once: to take apart what mlflow, ray and torch are would need two seconds."""
    code = _exit_code()
    if ray_loss() is None:  # else what is left of Ray in this process would try to say goodbye for a minute
        atexit._run_exitfuncs()
    logging.shutdown()
    os._exit(_flushed(code))


def _flushed(code: int) -> int:
    """The code to end with, once all that was printed has left; the work is done: a reader who has gone is no fault."""
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except BrokenPipeError:
        pass
    except OSError:
        return code or _THEIRS
    return code


def _exit_code() -> int:
    from genotune.errors import UserError

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a batch system's end is recorded as Ctrl-C is
    try:
        result = app(standalone_mode=False)
    except UserError as error:
        _show_error(str(error))
        return _THEIRS
    except (KeyboardInterrupt, typer.Abort):
        result = _INTERRUPTED
    except Exception as error:
        if hasattr(error, "exit_code") and hasattr(error, "show"):  # a usage error of the command line's parser
            error.show()
            return int(error.exit_code)
        if isinstance(error, OSError) and error.errno in _PLACES:
            place = "" if error.filename is None else f"{error.filename}: "
            _show_error(f"{place}can't be read or written: {error.strerror}. Mend that, or name another --workspace.")
            return _THEIRS
        logging.getLogger("genotune").exception("A defect of genotune; please report it with these lines.")
        return _OURS
    if result == _INTERRUPTED:  # Typer makes this number of Ctrl-C by itself
        _show_error("interrupted.")
    return result if isinstance(result, int) else _DONE


def _show_error(text: str) -> None:
    from genotune.terminal import show_error

    show_error(text)


class _StderrHandler(logging.Handler):
    """Writes to what is standard error at that moment: while the live table stands, lines go above it."""

    def emit(self, record: logging.LogRecord) -> None:
        sys.stderr.write(f"{self.format(record)}\n")


def _log_to_stderr(verbose: int) -> None:
    level = (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)]
    handler = _StderrHandler()
    handler.setLevel(level)
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s" if verbose else "%(message)s"))
    logger = logging.getLogger("genotune")
    logger.handlers = [handler]
    logger.setLevel(min(level, logging.INFO))
    logger.propagate = False


if __name__ == "__main__":
    main()
