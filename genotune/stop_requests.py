"""What a person asks of a sweep from another terminal: to stop it, or one of its trials. Small files in its folder.

A driver looks for them about every second; each lies there until it is answered, or until a driver begins.
"""

import shutil
from pathlib import Path
from typing import Final, Literal, NamedTuple

_FOLDER: Final = "requests"
_TRIAL: Final = "stop-trial-"
_SWEEP: Final = "stop-sweep-"

End = Literal["interrupt", "choose"]
"""How a sweep ends: as by Ctrl-C, to go on with `genotune resume`; or with a winner chosen from what is there."""


class StopRequests(NamedTuple):
    """What is asked for and not answered yet.

    Attributes:
        sweep: how the sweep is to end; None: not at all.
        trials: numbers of the trials that are to be stopped.
    """

    sweep: End | None = None
    trials: frozenset[int] = frozenset()


def request_name(wanted: int | End) -> str:
    """What the file is called that asks for this."""
    return f"{_TRIAL}{wanted}" if isinstance(wanted, int) else f"{_SWEEP}{wanted}"


def is_request(name: str) -> bool:
    """Whether a file of this name asks for something."""
    return name.startswith((_TRIAL, _SWEEP))


def hand_in(folder: Path, name: str) -> None:
    """Put a request that came from elsewhere, by its name, before the driver of the sweep in this folder."""
    (folder / _FOLDER).mkdir(exist_ok=True)
    (folder / _FOLDER / name).touch()


def ask_to_stop(folder: Path, wanted: int | End) -> None:
    """Ask the driver of a sweep to stop a trial, by its number, or the sweep.

    Args:
        folder: the sweep's.
        wanted: what.
    """
    hand_in(folder, request_name(wanted))


def read_requests(folder: Path) -> StopRequests:
    """What is asked of the driver of a sweep; Ctrl-C's way of ending goes before the other."""
    requests = folder / _FOLDER
    names = {path.name for path in requests.iterdir()} if requests.is_dir() else set()
    trials = frozenset(int(number) for name in names if (number := name.removeprefix(_TRIAL)).isdecimal())
    if f"{_SWEEP}interrupt" in names:
        return StopRequests("interrupt", trials)
    return StopRequests("choose" if f"{_SWEEP}choose" in names else None, trials)


def clear_requests(folder: Path) -> None:
    """Forget what was asked of an earlier driver."""
    shutil.rmtree(folder / _FOLDER, ignore_errors=True)
