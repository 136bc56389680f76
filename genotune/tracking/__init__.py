"""MLflow: a reader of the journal, and the registry of winners. Nothing else in genotune knows MLflow."""

from genotune.tracking.recorder import Recorder
from genotune.tracking.registry import Registered, fetch_model, register_winner
from genotune.tracking.stores import (
    resolve_tracking_uri,
    shown_uri,
    tracking_uri_default,
    ui_command,
)

__all__ = [
    "Recorder",
    "Registered",
    "fetch_model",
    "register_winner",
    "resolve_tracking_uri",
    "shown_uri",
    "tracking_uri_default",
    "ui_command",
]
