"""What a driver logs, kept in the sweep's folder."""

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def driver_log(folder: Path) -> Iterator[None]:
    """Everything that is logged, kept in the sweep's folder too."""
    handler = _LogFile(folder / "driver.log")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logger = logging.getLogger("genotune")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        with contextlib.suppress(OSError):  # as in `_LogFile`
            handler.close()


class _LogFile(logging.FileHandler):
    """A log that a full disk silences: what is wrong is told by who can't go on."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Nothing."""
