"""The search-space file that `genotune new` writes for tracks and their genome."""

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from genotune.data.bigwig import BigWigPlan
from genotune.data.bigwig_settings import BigWigSettings
from genotune.data.files import InputFile
from genotune.data.new_spec import SpecBody, TrackFiles, relative, scalar, scalars
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


def track_body(files: TrackFiles, folder: Path) -> SpecBody:
    """A CNN on the tracks, with chromosomes held out.

    Args:
        files: that a person named.
        folder: of the spec.

    Raises:
        DataError: files are missing or don't fit each other, or their genome can't be split by contig.
    """
    plan = _plan(files)
    negative = [plan.settings.tracks[name].file for name, header in plan.headers.items() if header.minimum < 0]
    if negative:
        raise DataError(
            f"{', '.join(negative)}: holds values below zero, which a Poisson model can't have made. "
            "Give counts or coverage, not a ratio or a difference."
        )
    splits = choose_splits(plan.contigs)
    what = ", ".join(plan.settings.tracks) if len(plan.settings.tracks) < 4 else f"{len(plan.settings.tracks)} tracks"
    megabases = sum(plan.contigs.values()) / 1e6
    text = _data_text(plan.settings, folder) + _split_text(plan, splits) + _model_text(plan.settings.resolution_bp)
    return SpecBody(f"The best CNN for {what} on {megabases:.1f} Mb", text)


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
    has_roman_numbers = any(name.removeprefix("chr") == "II" for name in contigs)
    fit = {
        name: length
        for name, length in contigs.items()
        if length >= _LEAST_SHARE * total and _is_ordinary(name, has_roman_numbers=has_roman_numbers)
    }
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


def _is_ordinary(name: str, *, has_roman_numbers: bool) -> bool:
    is_sex_chromosome = name.removeprefix("chr") in _SEX_CHROMOSOMES and not has_roman_numbers
    return not is_mitochondrion(name) and not is_sex_chromosome


def _draw(names: Sequence[str], contigs: Mapping[str, int], *, share: float, most: int) -> set[str]:
    """Contigs in the given order, each taken if it brings the sum nearer to the share; at least one."""
    target, drawn, bases = share * sum(contigs.values()), set[str](), 0
    for name in names:
        if len(drawn) < most and abs(bases + contigs[name] - target) < abs(bases - target):
            drawn.add(name)
            bases += contigs[name]
    return drawn or {min(names, key=lambda name: contigs[name])}


def _plan(files: TrackFiles) -> BigWigPlan:
    """The plan of the files as the person named them, so that faults name them so too."""
    values: dict[str, object] = {
        "kind": "bigwig",
        "reference": str(files.reference),
        "tracks": {name: {"path": str(path)} for name, path in _track_names(files.tracks).items()},
        "resolution_bp": 32,
        "exclude": None if files.exclude is None else str(files.exclude),
        "contig_names": _style(files),
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


def _style(files: TrackFiles) -> NamingStyle | None:
    """How the tracks spell contigs, if not as the FASTA does; faults of the files are left to the plan."""
    from genotune.data.bigwig_header import read_header
    from genotune.data.fasta import read_reference

    try:
        ours = read_reference(InputFile(files.reference, str(files.reference))).lengths
        styles = {style_of(read_header(path, str(path)).lengths, ours) for path in files.tracks}
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


def _data_text(settings: BigWigSettings, folder: Path) -> str:
    lines = [
        "data:",
        "  kind: bigwig",
        f"  reference: {relative(settings.reference, folder)}  # the assembly that the reads were mapped to",
        "  tracks:  # what the model learns to predict, name: file; paths are relative to this file",
        *(
            f"    {scalar(name)}: {{path: {relative(track.file, folder)}, transform: none}}"
            for name, track in settings.tracks.items()
        ),
        f"  resolution_bp: {settings.resolution_bp}  # the signal is averaged over bins of so many bases",
        f"  missing: {settings.missing}  # a base without a value counts as zero; nan: it wasn't measured",
    ]
    lines.extend(
        f"  exclude: {relative(bed, folder)}  # regions whose signal isn't to be trusted, e.g. repeats"
        for bed in settings.exclude
    )
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
  validation: {scalars(splits.validation)}  # {validation} % of the bases: trials are compared on these
  test: {scalars(splits.test)}  # {test} %: scored once, by the winner. The other {train} % train
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
