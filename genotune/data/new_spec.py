"""A first search-space file for a person's own tracks: where a beginner starts."""

import json
import math
import os
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import yaml

from genotune.data.bigwig import BigWigPlan, BigWigSettings
from genotune.errors import DataError
from genotune.genome.contig_names import NamingStyle, is_mitochondrion, style_of
from genotune.genome.splits import ContigSplits
from genotune.settings import build

VALIDATION_SHARE: Final = 0.12
TEST_SHARE: Final = 0.20

_LARGE_GENOME_BP: Final = 1_000_000_000
_LEAST_SHARE: Final = 0.01
_WINDOW_BINS: Final = 32
_SEX_CHROMOSOMES: Final = ("X", "Y", "Z", "W")
_BIGWIG_ENDINGS: Final = (".bw", ".bigwig")
_FASTA_ENDINGS: Final = (".fa", ".fasta", ".fna", ".fa.gz", ".fasta.gz", ".fna.gz", ".fa.bgz", ".fasta.bgz")
_BED_ENDINGS: Final = (".bed", ".bed.gz")


class Inputs(NamedTuple):
    """The files that a person named, by what they are."""

    tracks: tuple[Path, ...]
    reference: Path
    exclude: Path | None


def write_spec(paths: Sequence[Path], out: Path) -> str:
    """Write a commented search-space file for tracks and their FASTA; its text is given back too.

    Args:
        paths: bigWigs, one FASTA, and a BED of what to exclude if there is one.
        out: the file to write; paths in it are relative to its folder.

    Raises:
        DataError: files are missing or don't fit each other, or their genome can't be split by contig.
    """
    inputs = sort_inputs(paths)
    plan = _plan(inputs)
    negative = [plan.settings.tracks[name].path for name, header in plan.headers.items() if header.minimum < 0]
    if negative:
        raise DataError(
            f"{', '.join(negative)}: holds values below zero, which a Poisson model can't have made. "
            "Give counts or coverage, not a ratio or a difference."
        )
    text = _text(plan, choose_splits(plan.contigs), out=out)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(text)
    return text


def sort_inputs(paths: Sequence[Path]) -> Inputs:
    """Which file is what, by its ending.

    Raises:
        DataError: an ending isn't known, or not exactly one FASTA and at least one bigWig are there.
    """
    tracks, references, beds = (
        [path for path in paths if path.name.lower().endswith(endings)]
        for endings in (_BIGWIG_ENDINGS, _FASTA_ENDINGS, _BED_ENDINGS)
    )
    strange = [str(path) for path in paths if path not in {*tracks, *references, *beds}]
    if strange:
        raise DataError(f"{', '.join(strange)}: neither a bigWig (.bw), a FASTA (.fa, .fa.gz) nor a BED (.bed).")
    if not tracks:
        raise DataError("No bigWig among the files; name at least one (.bw).")
    if len(references) != 1:
        raise DataError(f"{len(references)} FASTA files; name the one that the reads were mapped to (.fa, .fa.gz).")
    if len(beds) > 1:
        raise DataError(f"{len(beds)} BED files; name one, with all intervals to exclude.")
    return Inputs(tuple(tracks), references[0], beds[0] if beds else None)


def choose_splits(contigs: Mapping[str, int]) -> ContigSplits:
    """Whole contigs of middle size for test (about 20 % of the bases) and validation (12 %); the rest trains.

    The longest contig always trains. Mitochondrion, sex chromosomes and small scaffolds aren't held out: their
    signal is not like that of the others.

    Args:
        contigs: lengths in bp.

    Raises:
        DataError: fewer than three contigs are large enough.
    """
    total = sum(contigs.values())
    fit = {name: length for name, length in contigs.items() if _is_ordinary(name, contigs, total)}
    if len(fit) < 3:
        raise DataError(
            f"{len(fit)} contigs are large enough to hold out as a whole, three are wanted (train, validation, test). "
            "Give a reference with all its contigs."
        )
    middle = sorted(fit.values())[len(fit) // 2]
    longest = max(fit, key=lambda name: fit[name])
    free = sorted(fit, key=lambda name: (abs(math.log(fit[name] / middle)), name))
    free.remove(longest)
    test = _draw(free[:], contigs, share=TEST_SHARE, most=len(free) - 1)
    free = [name for name in free if name not in test]
    validation = _draw(free, contigs, share=VALIDATION_SHARE, most=len(free))
    held_out = {*test, *validation}
    return ContigSplits(
        tuple(name for name in contigs if name not in held_out),
        tuple(name for name in contigs if name in validation),
        tuple(name for name in contigs if name in test),
    )


def _is_ordinary(name: str, contigs: Mapping[str, int], total: int) -> bool:
    has_roman_numbers = any(name.removeprefix("chr") == "II" for name in contigs)
    is_sex_chromosome = name.removeprefix("chr") in _SEX_CHROMOSOMES and not has_roman_numbers
    return not is_mitochondrion(name) and not is_sex_chromosome and contigs[name] >= _LEAST_SHARE * total


def _draw(names: Sequence[str], contigs: Mapping[str, int], *, share: float, most: int) -> set[str]:
    """Contigs in the given order, each taken if it brings the sum nearer to the share; at least one."""
    target, drawn, bases = share * sum(contigs.values()), set[str](), 0
    for name in names:
        if len(drawn) < most and abs(bases + contigs[name] - target) < abs(bases - target):
            drawn.add(name)
            bases += contigs[name]
    return drawn or {min(names, key=lambda name: contigs[name])}


def _plan(inputs: Inputs) -> BigWigPlan:
    """The plan of the files as the person named them, so that faults name them so too."""
    values: dict[str, object] = {
        "kind": "bigwig",
        "reference": str(inputs.reference),
        "tracks": {name: {"path": str(path)} for name, path in _track_names(inputs.tracks).items()},
        "resolution_bp": 32,
        "exclude": None if inputs.exclude is None else str(inputs.exclude),
        "contig_names": _style(inputs),
    }
    here = Path.cwd()
    settings: BigWigSettings = build(BigWigSettings, values)
    contigs = settings.plan(here).contigs
    resolution_bp = 128 if sum(contigs.values()) > _LARGE_GENOME_BP else 32
    values["resolution_bp"] = resolution_bp
    window_bp = _WINDOW_BINS * resolution_bp
    if min(contigs.values()) < window_bp <= max(contigs.values()):
        values["min_contig_bp"] = window_bp
    settings = build(BigWigSettings, values)
    return settings.plan(here)


def _style(inputs: Inputs) -> NamingStyle | None:
    """How the tracks spell contigs, if not as the FASTA does; faults of the files are left to the plan."""
    from genotune.data.bigwig_header import read_header
    from genotune.data.fasta import read_reference

    try:
        ours = read_reference(inputs.reference, str(inputs.reference)).lengths
        styles = {style_of(read_header(path, str(path)).lengths, ours) for path in inputs.tracks}
    except DataError:
        return None
    return next((style for style in styles if style), None)


def _track_names(paths: Sequence[Path]) -> Mapping[str, Path]:
    """A name for each track: that of its file, numbered where several are called the same."""
    named: dict[str, Path] = {}
    for path in paths:
        stem = re.sub(r"[^A-Za-z0-9_.-]+", "_", path.stem)
        name = next(name for n in range(1, len(paths) + 1) if (name := stem if n == 1 else f"{stem}_{n}") not in named)
        named[name] = path
    return named


def _scalar(text: str) -> str:
    """Text as YAML, in quotes where it would be read as something else."""
    is_plain = re.fullmatch(r"[A-Za-z0-9_./][A-Za-z0-9_./ +-]*", text) and yaml.safe_load(text) == text
    return text if is_plain else json.dumps(text, ensure_ascii=False)


def _list(names: Sequence[str]) -> str:
    return f"[{', '.join(_scalar(name) for name in names)}]"


def _text(plan: BigWigPlan, splits: ContigSplits, *, out: Path) -> str:
    sweep = re.sub(r"[^A-Za-z0-9._-]+", "-", out.stem).strip("-._") or "sweep"
    what = ", ".join(plan.settings.tracks) if len(plan.settings.tracks) < 4 else f"{len(plan.settings.tracks)} tracks"
    megabases = sum(plan.contigs.values()) / 1e6
    return f"""\
# The best CNN for {what} on {megabases:.1f} Mb. Written by `genotune new`; change what you like.
# What it would do:  genotune check {shlex.quote(out.name)}
# Start it:          genotune run {shlex.quote(out.name)}
name: {_scalar(sweep)}
{_data_text(plan.settings, out.resolve().parent)}{_split_text(plan, splits)}{_model_text(plan.settings.resolution_bp)}\
tracking: {{experiment: {_scalar(sweep)}}}  # where MLflow keeps the record; see it with: genotune ui
"""


def _data_text(settings: BigWigSettings, folder: Path) -> str:
    def file(path: str) -> str:
        return _scalar(os.path.relpath(Path(path).absolute(), folder))

    lines = [
        "data:",
        "  kind: bigwig",
        f"  reference: {file(settings.reference)}  # the assembly that the reads were mapped to",
        "  tracks:  # what the model learns to predict, name: file; paths are relative to this file",
        *(
            f"    {_scalar(name)}: {{path: {file(track.path)}, transform: {track.transform}}}"
            for name, track in settings.tracks.items()
        ),
        f"  resolution_bp: {settings.resolution_bp}  # the signal is averaged over bins of so many bases",
        f"  missing: {settings.missing}  # a base without a value counts as zero; nan: it wasn't measured",
    ]
    if settings.exclude is not None:
        lines.append(f"  exclude: {file(settings.exclude)}  # regions whose signal isn't to be trusted, e.g. repeats")
    if settings.contig_names is not None:
        lines.append(f"  contig_names: {settings.contig_names}  # the tracks name contigs so, the FASTA otherwise")
    if settings.min_contig_bp > 1:
        lines.append(f"  min_contig_bp: {settings.min_contig_bp}  # contigs shorter than a window are of no use")
    return "".join(f"{line}\n" for line in lines)


def _split_text(plan: BigWigPlan, splits: ContigSplits) -> str:
    sizes = [sum(plan.contigs[contig] for contig in contigs) for contigs in splits]
    train, validation, test = (round(100 * size / sum(sizes)) for size in sizes)
    return f"""\
split:  # whole chromosomes are held out: neighbouring bases are too much alike for a fair test
  by: contig
  validation: {_list(splits.validation)}  # {validation} % of the bases: trials are compared on these
  test: {_list(splits.test)}  # {test} %: scored once, by the winner. The other {train} % train
"""


def _model_text(resolution_bp: int) -> str:
    window_bp = _WINDOW_BINS * resolution_bp
    return f"""\
models:
  - family: poisson_cnn  # a convolutional network for counts
    params:  # a value is fixed; choice, int, uniform and log_uniform are searched, both ends included
      # the stretches of sequence that it sees at once
      windows: {{length_bp: {window_bp}, stride_bp: {window_bp // 2}, select: tiles}}
      bin_bp: {{choice: [{resolution_bp}, {2 * resolution_bp}]}}  # width of a predicted bin
      learning_rate: {{log_uniform: [1.0e-3, 1.0e-2]}}  # size of a learning step; it matters most
      channels: {{choice: [32, 64]}}  # how many patterns it can know
      n_blocks: {{int: [3, 6]}}  # how far it looks around a base
      reverse_complement: true  # learn from both strands
      jitter_bp: {{choice: [0, {4 * resolution_bp}]}}  # shift windows at random by up to so many bases
search: {{kind: tpe, seed: 7}}  # learns from earlier trials where to look; the seed makes it repeatable
scheduler: {{kind: asha, max_epochs: 9, reduction_factor: 3}}  # stops trials that lag behind after 1 and 3 epochs
objective: {{metric: pearson, bin_bp: {resolution_bp}, split: validation}}  # what 'best' means
budget: {{trials: 24, hours: 1}}  # the search ends at whichever comes first
resources: {{poisson_cnn: {{cpus: 1}}}}  # of one trial; with a GPU: {{cpus: 1, gpus: 1}}
"""
