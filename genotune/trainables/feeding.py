"""Batches of windows on the device, from a draw of starts.

If the store fits beside the model on a GPU it moves there once per process, and a batch is an index look-up on the
device; the next trial in the process finds it there. Else windows are gathered by numpy from shared memory: on a CPU
right away (it takes a few hundredths of a step), for a GPU by a thread that runs ahead, through pinned memory.
What depends on the strand is done on the device in both cases.

Axes: e example, t track, l base, b bin.
"""

import logging
import queue
import threading
from collections.abc import Generator, Iterator
from contextlib import closing
from typing import Final, NamedTuple, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from genotune.store import N_CODE, IntArray, SequenceStore
from genotune.trainables.kept import Kept
from genotune.trainables.window_selection import EpochDraw

log = logging.getLogger(__name__)

T = TypeVar("T")

_BATCHES_AHEAD: Final = 3
_STORE_SHARE: Final = 0.5
"""Of the device memory that a trial may use, the share that the store may take: activations need the rest."""


class Batch(NamedTuple):
    """Windows on the device.

    Attributes:
        codes_el: uint8.
        signal_etb: float32, mean signal per base in the store's bins, NaN where not known.
        weights_e: float32, of each window in the loss.
    """

    codes_el: Tensor
    signal_etb: Tensor
    weights_e: Tensor


class Feed(Protocol):
    """Gives the windows of a draw, batch by batch."""

    def batches(self, draw: EpochDraw, *, batch_size: int, length_bp: int) -> Iterator[Batch]:
        """The windows in their order; the last batch may be smaller.

        Args:
            draw: the windows.
            batch_size: windows of a batch.
            length_bp: length of a window.
        """


def feed_for(store: SequenceStore, device: str, *, memory_share: float = 1.0) -> Feed:
    """The fastest feed that the device has room for.

    Args:
        store: the data.
        device: 'cpu' or 'cuda'.
        memory_share: of the device's memory that this process may use.
    """
    if device == "cpu":
        return HostFeed(store, device)
    kept = _RESIDENT.peek(store, device)
    if kept is not None:
        return kept
    total = torch.cuda.get_device_properties(device).total_memory
    allowed = int(total * memory_share * _STORE_SHARE)
    free, _ = torch.cuda.mem_get_info(device)
    fits = store.nbytes <= min(allowed, free)
    log.info(
        "The store (%.1f MB) %s: %.0f MB of the device may be used for it.",
        store.nbytes / 1e6,
        "moves to the GPU" if fits else "stays on the host",
        min(allowed, free) / 1e6,
    )
    return _RESIDENT.get(store, device, make=lambda: ResidentFeed(store, device)) if fits else HostFeed(store, device)


class ResidentFeed:
    """Gathers on the device, from a copy of the store that lies there.

    Args:
        store: the data; not held on to.
        device: any of torch's.
    """

    def __init__(self, store: SequenceStore, device: str) -> None:
        self._resolution_bp = store.resolution_bp
        self._sequence_l = _tensor(store.sequence).to(device)
        self._signal_tb = _tensor(store.signal).to(device)
        self._other_strand = _other_strand(store, device)
        self._device = device

    def batches(self, draw: EpochDraw, *, batch_size: int, length_bp: int) -> Iterator[Batch]:
        """See `Feed.batches`."""
        starts = torch.from_numpy(draw.starts).to(self._device)
        bins = torch.from_numpy(nearest_bins(draw.starts, self._resolution_bp)).to(self._device)
        turned = torch.from_numpy(draw.reversed).to(self._device)
        weights = torch.from_numpy(draw.weights).to(self._device)
        codes = self._sequence_l.unfold(0, length_bp, 1)
        signal = self._signal_tb.unfold(1, length_bp // self._resolution_bp, 1)
        for first in range(0, len(starts), batch_size):
            which = slice(first, first + batch_size)
            yield turn(
                Batch(codes[starts[which]], signal[:, bins[which]].transpose(0, 1), weights[which]),
                turned[which],
                other_strand=self._other_strand,
            )


class HostFeed:
    """Gathers with numpy; for a GPU a thread does so ahead of time.

    Args:
        store: the data.
        device: any of torch's.
    """

    def __init__(self, store: SequenceStore, device: str) -> None:
        self._store, self._device = store, device
        self._other_strand = _other_strand(store, device)

    def batches(self, draw: EpochDraw, *, batch_size: int, length_bp: int) -> Iterator[Batch]:
        """See `Feed.batches`."""
        gathered = self._gather(draw, batch_size=batch_size, length_bp=length_bp)
        ready = gathered if self._device == "cpu" else ahead(gathered, n=_BATCHES_AHEAD)
        with closing(ready):
            for host in ready:
                codes, signal, weights, turned = (tensor.to(self._device, non_blocking=True) for tensor in host)
                yield turn(Batch(codes, signal, weights), turned, other_strand=self._other_strand)

    def _gather(self, draw: EpochDraw, *, batch_size: int, length_bp: int) -> Generator[tuple[Tensor, ...], None, None]:
        pinned = self._device != "cpu"
        for first in range(0, len(draw.starts), batch_size):
            which = slice(first, first + batch_size)
            windows = self._store.gather(draw.starts[which], length_bp=length_bp)
            arrays = (windows.codes, windows.signal, draw.weights[which], draw.reversed[which])
            tensors = tuple(torch.from_numpy(array) for array in arrays)
            yield tuple(tensor.pin_memory() for tensor in tensors) if pinned else tensors


def nearest_bins(starts: IntArray, resolution_bp: int) -> IntArray:
    """(example,) the stored bin whose start is nearest to each base; see `SequenceStore.gather`."""
    bins: IntArray = (starts + resolution_bp // 2) // resolution_bp
    return bins


def turn(batch: Batch, turned_e: Tensor, *, other_strand: Tensor | None) -> Batch:
    """The batch with some windows as the other strand reads them: complemented, turned round, strands swapped.

    Args:
        batch: as the reference has it.
        turned_e: bool, which windows.
        other_strand: (track,) the track that each becomes; None: itself.
    """
    codes, signal, weights = batch
    # With A C G T as 0 to 3 the complement has both bits turned; N would become 7.
    complement = codes.bitwise_xor(N_CODE - 1).clamp(max=N_CODE).flip(1)
    opposite = signal.flip(2) if other_strand is None else signal[:, other_strand].flip(2)
    return Batch(
        torch.where(turned_e[:, None], complement, codes),
        torch.where(turned_e[:, None, None], opposite, signal),
        weights,
    )


def _other_strand(store: SequenceStore, device: str) -> Tensor | None:
    """(track,) the track that each becomes on the other strand; None if each is its own."""
    return torch.from_numpy(store.other_strand).to(device) if store.strand_pairs else None


def ahead(items: Iterator[T], *, n: int) -> Generator[T, None, None]:
    """The same items, made by a thread that is at most `n` of them ahead; what it raises is raised here.

    Closed before its end, the thread ends too.
    """
    ready: queue.Queue[tuple[bool, object]] = queue.Queue(maxsize=n)
    given_up = threading.Event()

    def put(entry: tuple[bool, object]) -> bool:
        while not given_up.is_set():
            try:
                ready.put(entry, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    def work() -> None:
        try:
            for item in items:
                if not put((True, item)):
                    return
            put((False, None))
        except BaseException as error:  # noqa: BLE001 - raised again where the items are wanted
            put((False, error))

    thread = threading.Thread(target=work, name="windows-ahead", daemon=True)
    thread.start()
    try:
        while True:
            is_item, value = ready.get()
            if not is_item:
                if isinstance(value, BaseException):
                    raise value
                return
            yield value  # type: ignore[misc]
    finally:
        given_up.set()
        thread.join()


def _tensor(array: np.typing.NDArray[np.generic]) -> Tensor:
    """A tensor over an array that may be read-only; it is only read."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return torch.from_numpy(array)


_RESIDENT: Final = Kept[ResidentFeed](most=1)
"""The stores that lie on a device: kept for the next trial of this process."""
