"""What MLflow's failures mean, in words for a person."""

import re
from typing import Final, Literal, NamedTuple

from genotune.errors import SweepError
from genotune.tracking.stores import shown_uri

_LONGEST_REASON: Final = 300
_CAUSE: Final = re.compile(r"Caused by \w+\(['\"](?:\w+\([^)]*\): )?(.+?)['\"]\)")
_REFUSED: Final = frozenset({"PERMISSION_DENIED", "UNAUTHENTICATED", "CUSTOMER_UNAUTHORIZED"})
_UNKNOWN_PLACE: Final = "ENDPOINT_NOT_FOUND"
_UNFIT: Final = frozenset({"BAD_REQUEST", "INVALID_PARAMETER_VALUE"})


class Fault(NamedTuple):
    """Why MLflow doesn't have what it should.

    Attributes:
        kind: 'away' may pass by itself; the others ask for a person.
        words: what was found and what to do, without the password that may stand in the URI.
    """

    kind: Literal["away", "refused", "older", "unfit"]
    words: str


def fault_of(error: Exception, uri: str) -> Fault:
    """What an exception of MLflow's, or of the way to it, comes to.

    Args:
        error: as it was raised.
        uri: of the store or server.
    """
    where, reason = shown_uri(uri), _reason(error, uri)
    if isinstance(error, SweepError):
        return Fault("unfit", f"MLflow ({where}) takes nothing now. {reason}")
    code = getattr(error, "error_code", "")
    # What is said of an artifact that isn't taken stands in an exception of another library's, with the status in it.
    status = getattr(getattr(error, "response", None), "status_code", 0)
    if code in _REFUSED or status in {401, 403}:
        advice = (
            "Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, for someone who may "
            "write there."
        )
        return Fault("refused", f"MLflow ({where}) doesn't let this user in. {advice} It said: {reason}")
    if code == _UNKNOWN_PLACE:
        advice = "Is it an MLflow server, and of version 3 or later?"
        return Fault("older", f"MLflow ({where}) doesn't know what is asked of it. {advice} It said: {reason}")
    if is_unfit(error):
        return Fault("unfit", f"MLflow ({where}) doesn't take what it is told. It said: {reason}")
    return Fault("away", f"MLflow ({where}) takes nothing now. {reason}")


def is_unfit(error: Exception) -> bool:
    """Whether MLflow answered that it doesn't take just this, and never will."""
    return getattr(error, "error_code", "") in _UNFIT


def _reason(error: Exception, uri: str) -> str:
    """The first line of an exception, no longer than a person reads; of what urllib3 tells its cause alone."""
    line = str(error).partition("\n")[0].replace(uri, shown_uri(uri))
    cause = _CAUSE.search(line)
    line = re.sub(r"//[^/@\s]+@", "//***@", cause[1].rpartition("('")[2] if cause else line)
    return line if len(line) <= _LONGEST_REASON else line[: _LONGEST_REASON - 1] + "…"
