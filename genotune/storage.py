"""Where checkpoints outlive the machine that wrote them: a folder, s3:// or gs://; each is there whole or not there.

A folder is put under a name that nobody else uses, and a note beside it, NAME.whole, is written last: it names the
files with their sizes, and without it nothing is there. Whoever reads from a bucket (data/remote.py) and whoever
writes to one are logged in alike, by what fsspec, s3fs and gcsfs honour.
"""

import contextlib
import json
import logging
import secrets
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

from genotune.data.remote import masked
from genotune.errors import HaltError
from genotune.full_disk import full_disk

log = logging.getLogger(__name__)

_PACKAGES: Final = {"s3": "s3fs", "gs": "gcsfs"}
"""What reads and writes each kind of address."""

_LOCAL: Final = "file:///"
"""A folder that every machine sees, as an address: file:///nfs/lab."""

_PLACES: Final = "a folder, file:///FOLDER, s3://BUCKET/PREFIX or gs://BUCKET/PREFIX"

_NOTE: Final = ".whole"
_PROBE: Final = ".genotune-probe"
_FIRST_PAUSE_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 30.0
PATIENCE_S: Final = 600.0
"""So long a storage may be away before the sweep is ended, to be resumed."""

_LOGIN: Final = {
    "s3": "set AWS_PROFILE or AWS_ACCESS_KEY_ID, on every machine that runs trials",
    "gs": "log in with gcloud auth application-default login, on every machine that runs trials",
    "file": "make it yours, or name another",
}
_NO_LOGIN: Final = ("NoCredentialsError", "TokenRetrievalError", "DefaultCredentialsError", "RefreshError")
_Found = TypeVar("_Found")


class TornError(HaltError):
    """What lies there is not what was put: a writer that outlived its driver, or a person, came between."""


class Note(NamedTuple):
    """What is said of a folder that lies whole in a storage.

    Attributes:
        folder: its content's own name.
        files: bytes by path in it.
        facts: what its writer wants to know without fetching it.
    """

    folder: str
    files: Mapping[str, int]
    facts: Mapping[str, Any]


class Storage(NamedTuple):
    """A place for folders.

    Attributes:
        url: with its login, if it has one: not to be shown.
        patience_s: how long it is tried again when it is away.
    """

    url: str
    patience_s: float = PATIENCE_S

    def part(self, name: str) -> "Storage":
        """The place of this name in it."""
        return self._replace(url=f"{self.url.rstrip('/')}/{name}")

    def put(self, folder: Path, name: str, *, files: Mapping[str, int], facts: Mapping[str, Any]) -> None:
        """Make a folder's content lie there under a name, whole; what lay there before is let go of afterwards.

        Args:
            folder: of this machine.
            name: that nothing else has.
            files: the folder's, as its writer knows them; see `sizes_in`.
            facts: that the note keeps.

        Raises:
            HaltError: the storage can't be written to, or was away for too long.
            FileNotFoundError: the folder has not, or no more, what it should.
        """
        missing = {file: n_bytes for file, n_bytes in files.items() if sizes_in(folder).get(file) != n_bytes}
        if missing or not files:
            raise FileNotFoundError(f"{folder}: lacks {', '.join(missing) or 'everything'}; was it removed meanwhile?")
        before = self._note(name)
        content = f"{name}-{secrets.token_hex(4)}"
        for file in files:
            self._try(partial(_put, file=folder / file, path=f"{content}/{file}"))
        text = json.dumps(Note(content, files, facts)._asdict()).encode()
        self._try(lambda system, root: _write(system, f"{root}/{name}{_NOTE}", text))
        if before is not None:
            self._remove(before.folder)

    def fetch(self, name: str, into: Path) -> None:
        """Copy the content of a folder that lies there into an empty one.

        Raises:
            TornError: it isn't there whole.
            HaltError: it can't be read.
        """
        note = self._note(name)
        if note is None:
            raise TornError(f"{masked(self.url)}/{name}: isn't there. Was it removed? Put it back.")
        for file, n_bytes in note.files.items():
            path = into / file
            path.parent.mkdir(parents=True, exist_ok=True)
            self._try(partial(_get, path=f"{note.folder}/{file}", file=path))
            if path.stat().st_size != n_bytes:
                found = f"{path.stat().st_size} of {n_bytes} bytes"
                raise TornError(f"{masked(self.url)}/{name}: {file} has {found}; it was changed. Put it back.")

    def notes(self) -> dict[str, Note]:
        """What lies whole in this place itself, by name."""
        names = [name.removesuffix(_NOTE) for name in self._try(_list) if name.endswith(_NOTE)]
        return {name: note for name in names if (note := self._note(name)) is not None}

    def names(self) -> frozenset[str]:
        """The names, as paths, of all that lies whole in it and in its parts."""

        def find(system: Any, root: str) -> list[str]:
            return [path[len(root) :].strip("/") for path in system.find(root)]

        return frozenset(path.removesuffix(_NOTE) for path in self._try(find) if path.endswith(_NOTE))

    def remove(self, name: str) -> None:
        """Give back the space of a folder: first the note, so that nobody finds a part of it.

        A storage that is away keeps it: space is no reason to wait.
        """
        with contextlib.suppress(HaltError):
            note = self._replace(patience_s=0)._note(name)
            self._remove(f"{name}{_NOTE}")
            if note is not None:
                self._remove(note.folder)

    def write(self, name: str, content: bytes) -> None:
        """Make a file of this place hold these bytes: whoever reads it finds them, or what it held before.

        Raises:
            HaltError: the storage can't be written to, or was away for too long.
        """
        self._try(lambda system, root: _write_whole(system, f"{root}/{name}", content))

    def read(self, name: str) -> bytes | None:
        """What a file of this place holds; None: there is none.

        Raises:
            HaltError: it can't be read.
        """
        return self._try(lambda system, root: _read(system, f"{root}/{name}"))

    def forget(self, name: str) -> None:
        """Remove a file of this place; a storage that is away keeps it."""
        self._remove(name)

    def files(self) -> list[str]:
        """The names of what lies in this place itself, in order; none where there is no such place.

        Raises:
            HaltError: it can't be read.
        """
        return sorted(self._try(_list))

    def clear(self) -> None:
        """Give back the space of what a writer that died left half written in this place itself."""
        whole = {note.folder for note in self.notes().values()}
        for name in self._try(_list):
            if name not in whole and not name.endswith(_NOTE):
                self._remove(name)

    def check(self) -> None:
        """Nothing, if a file can be written there, read and removed.

        Raises:
            HaltError: it can't, with the fix.
        """
        content = secrets.token_bytes(16)

        def probe(system: Any, root: str) -> None:
            path = f"{root}/{_PROBE}-{content.hex()[:8]}"
            _write(system, path, content)
            if system.cat_file(path) != content:
                raise OSError("what is read there is not what was written")
            _remove(system, path)

        self._replace(patience_s=min(self.patience_s, 2 * _FIRST_PAUSE_S))._try(probe)

    def _note(self, name: str) -> Note | None:
        text = self.read(f"{name}{_NOTE}")
        if text is None:
            return None
        try:
            return Note(**json.loads(text))
        except (ValueError, TypeError):  # a copy that broke off in a folder: its writer died
            return None

    def _remove(self, path: str) -> None:
        try:
            self._replace(patience_s=0)._try(lambda system, root: _remove(system, f"{root}/{path}"))
        except HaltError as error:
            log.warning("Space isn't given back: %s", error)

    def _try(self, action: Callable[[Any, str], _Found]) -> _Found:
        """What an action gives, which is done again while the storage is away.

        Raises:
            HaltError: it was away for too long, or refuses.
        """
        system, root = _system(self.url)
        deadline_s, pause_s = time.monotonic() + self.patience_s, _FIRST_PAUSE_S
        while True:
            try:
                return action(system, root)
            except HaltError:
                raise
            except Exception as error:  # noqa: BLE001 each protocol has its own errors
                refusal = _refusal(error, self.url)
                if refusal is not None:
                    raise refusal from None
                if time.monotonic() + pause_s > deadline_s:
                    message = f"{masked(self.url)}: can't be reached ({_words(error)}). Is the network up?"
                    raise HaltError(message) from None
                log.warning("%s is away (%s). Trying again.", masked(self.url), _words(error))
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


def sizes_in(folder: Path) -> dict[str, int]:
    """Bytes of each file in a folder, by its path there."""
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in folder.rglob("*") if path.is_file()}


def place_fault(place: str) -> str | None:
    """What is wrong with the words that name a storage, as far as they alone tell; None: nothing."""
    protocol, mark, rest = place.removeprefix(_LOCAL).partition("://")
    if not place.strip():
        return f"found an empty text; name {_PLACES}, or remove it."
    if mark and (protocol not in _PACKAGES or not rest.strip("/")):
        return f"found {masked(place)!r}; write {_PLACES}."
    return None


def storage_at(place: str, folder: Path) -> Storage:
    """The storage that a spec in this folder names: a path or an address."""
    if place.startswith(_LOCAL):
        place = place.removeprefix("file://")
    if "://" in place:
        return Storage(place.rstrip("/"))
    return Storage(str((folder / Path(place).expanduser()).resolve()))


def _system(url: str) -> tuple[Any, str]:
    """Fsspec's file system for a place, and the path on it."""
    import fsspec

    protocol, _, _ = url.rpartition("://")
    if not protocol:
        return fsspec.filesystem("file", auto_mkdir=True), url
    options: dict[str, Any] = {"use_listings_cache": False}
    if protocol == "s3":
        # s3fs tries five times by itself; what hangs is not to outlast a trial's timeout.
        options["config_kwargs"] = {"connect_timeout": 10, "read_timeout": 30, "retries": {"max_attempts": 0}}
    try:
        system = fsspec.filesystem(protocol, **options)
    except ImportError:
        package = _PACKAGES[protocol]
        message = f"{masked(url)}: {protocol}:// takes a package that isn't installed: pip install {package}"
        raise HaltError(message) from None
    return system, system._strip_protocol(url)


def _list(system: Any, root: str) -> list[str]:
    """The names of what lies in a folder itself; none where there is no folder."""
    try:
        paths = system.ls(root, detail=False)
    except FileNotFoundError:
        return []
    return [path.rstrip("/").rpartition("/")[2] for path in paths]


def _put(system: Any, root: str, *, file: Path, path: str) -> None:
    system.put_file(str(file), f"{root}/{path}")


def _get(system: Any, root: str, *, path: str, file: Path) -> None:
    try:
        system.get_file(f"{root}/{path}", str(file))
    except FileNotFoundError:
        raise TornError(f"{path}: isn't there. Was it removed? Put it back.") from None


def _write(system: Any, path: str, content: bytes) -> None:
    system.pipe_file(path, content)


def _write_whole(system: Any, path: str, content: bytes) -> None:
    """An object of a bucket is there whole or not there; a file is written beside its place and then moved there."""
    if "file" not in system.protocol:
        _write(system, path, content)
        return
    draft = f"{path}.{secrets.token_hex(4)}"
    _write(system, draft, content)
    Path(draft).replace(path)


def _read(system: Any, path: str) -> bytes | None:
    try:
        return bytes(system.cat_file(path))
    except FileNotFoundError:
        return None


def _remove(system: Any, path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        system.rm(path, recursive=True)


def _refusal(error: Exception, url: str) -> HaltError | None:
    """What to tell of an error that waiting doesn't mend; None: it may."""
    why = _why_refused(error, url.rpartition("://")[0] or "file")
    return None if why is None else HaltError(f"{masked(url)}: {why}")


def _why_refused(error: Exception, protocol: str) -> str | None:
    chain = [error]
    while isinstance(cause := chain[-1].__cause__, Exception):
        chain.append(cause)
    full = full_disk(error)
    if full is not None:
        return str(full)
    why: str | None = None
    if any(type(one).__name__ in _NO_LOGIN for one in chain):
        why = f"this machine has no login for it: {_LOGIN[protocol]}."
    elif isinstance(error, PermissionError):
        why = f"no permission to write and read there ({_words(error)}): {_LOGIN[protocol]}."
    elif isinstance(error, FileNotFoundError):
        why = f"no such {'folder' if protocol == 'file' else 'bucket'}. Make it, or name another."
    elif isinstance(error, NotADirectoryError | FileExistsError):
        why = "a file is in the way. Name a folder."
    elif any(type(one).__name__ == "ParamValidationError" or isinstance(one, ValueError) for one in chain):
        why = f"can't be a place for checkpoints ({_words(error)}). Name another."
    return why


def _words(error: Exception) -> str:
    """The first line of what a library says; it may hold a secret."""
    return masked(str(error).strip().partition("\n")[0]) or type(error).__name__
