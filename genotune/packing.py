"""A spec with the small local files that it names, gathered into one folder that can travel to a cluster.

They lie there as they lie to each other here, so that the spec says the same in both places. A file that is named by
an address or an absolute path stays where it is: the machines of the cluster read it there.
"""

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from genotune.data.genotype_opening import is_pattern
from genotune.data.remote import is_url
from genotune.errors import Problem, SpecError
from genotune.spec import GroupSpec, Spec, spec_error

MOST_BYTES: Final = 200 * 10**6
"""So much travels with a spec; Ray keeps it in the memory of the head node."""

_FILESETS: Final = (
    *(".bed", ".bim", ".fam"),
    *(".pgen", ".pgen.pgi", ".pvar", ".pvar.zst", ".psam"),
)
_INDEXES: Final = (".fai", ".gzi", ".tbi", ".csi")

_Keys = tuple[str | int, ...]


class Package(NamedTuple):
    """What travels.

    Attributes:
        folder: that holds it.
        spec: the file, relative to the folder.
        n_bytes: of all files together.
    """

    folder: Path
    spec: str
    n_bytes: int


def pack(described: Spec | GroupSpec, folder: Path) -> Package:
    """Copy a spec and what it names by relative paths into an empty folder.

    Raises:
        SpecError: a file isn't there, or is too large to travel.
    """
    spec = described if isinstance(described, Spec) else described.members[0].spec
    home = Path(os.path.normpath(spec.path.absolute().parent))
    found = dict(_local_files(spec, home))
    _check(spec, found)
    sources = [spec.path.absolute(), *(path for paths in found.values() for path in paths)]
    sources = [Path(os.path.normpath(path)) for path in dict.fromkeys(sources)]
    root = Path(os.path.commonpath([home, *(path.parent for path in sources)]))
    for path in sources:
        target = folder / path.relative_to(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    text = folder / Path(os.path.normpath(spec.path.absolute())).relative_to(root)
    text.write_text(described.text)  # as it was read
    return Package(folder, str(text.relative_to(folder)), sum(path.stat().st_size for path in sources))


def _local_files(spec: Spec, home: Path) -> Iterator[tuple[_Keys, list[Path]]]:
    """The files that each setting names by a relative path, with those that belong to them; [] where none is there."""
    for keys, label in spec.settings.data.files.items():
        if not is_url(label) and not Path(label).expanduser().is_absolute():
            yield ("data", *keys), _with_companions(home, label)
    for name in spec.code:
        if not Path(name).expanduser().is_absolute():
            yield ("models",), [home / name]


def _with_companions(home: Path, label: str) -> list[Path]:
    """A file with its index and the other files of its fileset, as far as they are there; or those of a pattern."""
    named = sorted(home.glob(label)) if is_pattern(label) and not (home / label).exists() else [home / label]
    found: dict[Path, None] = {}
    for path in named:
        starts = {str(path).removesuffix(ending) for ending in _FILESETS if path.name.endswith(ending)} | {str(path)}
        candidates = [path, *(Path(f"{path}{ending}") for ending in _INDEXES)]
        candidates += [Path(f"{start}{ending}") for start in sorted(starts) for ending in _FILESETS]
        found |= dict.fromkeys(candidate for candidate in candidates if candidate.is_file())
    return list(found)


def _check(spec: Spec, found: Mapping[_Keys, list[Path]]) -> None:
    problems = [
        Problem(keys, f"no file of that name is there (looked in {spec.path.parent or Path()}).")
        for keys, paths in found.items()
        if not paths
    ]
    sizes = {keys: sum(path.stat().st_size for path in paths) for keys, paths in found.items()}
    total = sum(sizes.values())
    if not problems and total > MOST_BYTES:
        largest = sorted(sizes, key=lambda keys: -sizes[keys])
        left, too_large = total, []
        for keys in largest:
            if left <= MOST_BYTES:
                break
            too_large.append(keys)
            left -= sizes[keys]
        problems = [
            Problem(
                keys,
                f"{sizes[keys] / 1e6:,.0f} MB; {MOST_BYTES / 1e6:.0f} MB at most travel with a spec. Put it where the "
                "cluster's machines can read it and name it so: s3://..., gs://..., https://..., or the absolute path "
                "in a folder that all of them see.",
            )
            for keys in too_large
        ]
    if problems:
        error: SpecError = spec_error(spec, problems)
        raise error
