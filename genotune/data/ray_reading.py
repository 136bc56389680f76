"""A Ray Datasource read to its end: tables as they come, without Ray Data's own bars and logs."""

import contextlib
import logging
from collections.abc import Iterator

import pyarrow as pa
import ray.data
from ray.data.datasource import Datasource
from ray.exceptions import RayTaskError

from genotune.errors import DataError


def read_tables(source: Datasource, *, n_blocks: int) -> Iterator[pa.Table]:
    """The blocks of a source, in any order. Ray must have been started.

    Args:
        source: what to read.
        n_blocks: read tasks to cut it into.

    Raises:
        DataError: a file is damaged.
    """
    with _quiet():
        dataset = ray.data.read_datasource(source, override_num_blocks=n_blocks)
        try:
            yield from dataset.iter_batches(batch_size=None, batch_format="pyarrow")
        except RayTaskError as error:
            if isinstance(error.cause, DataError):
                # Ray Data writes its own advice on retries behind the message.
                raise DataError(str(error.cause).partition("\nFailed to ")[0]) from error
            raise


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """No bars and no log of Ray Data's own: who called shows progress."""
    context = ray.data.DataContext.get_current().copy()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    log = logging.getLogger("ray.data")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        with ray.data.DataContext.current(context):
            yield
    finally:
        log.setLevel(level)
