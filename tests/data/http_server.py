"""A web server on this machine that serves a folder, remembers what was asked for, and fails where it is told to."""

import base64
import contextlib
import threading
from collections import Counter
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit


class FileServer:
    """Serves the files of a folder.

    Attributes:
        url: of the folder, without a slash at its end.
        n_sent: how often each file's content was asked for.
        n_looked_up: how often each file's size was.
        statuses: of files that are refused; None: the server hangs up.
        n_cut: how many of the next answers break off half way, by file.
        shrunk: files of which less comes than was announced before.
        held: files whose answer waits half way until `release` is set.
        login: 'user:password' that is asked for.
        is_dated: whether it tells when a file was changed.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.n_sent, self.n_looked_up = Counter(), Counter()
        self.statuses = {}
        self.n_cut = Counter()
        self.shrunk, self.held = set(), set()
        self.release = threading.Event()
        self.login = None
        self.is_dated = True
        server = self

        class Handler(_Handler):
            files = server

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.host = f"127.0.0.1:{self._http.server_port}"
        self.url = f"http://{self.host}"

    def __enter__(self):
        threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.release.set()
        self._http.shutdown()
        self._http.server_close()


class _Handler(BaseHTTPRequestHandler):
    files: FileServer

    def do_HEAD(self):
        path = self._begin()
        if path is not None:
            self.files.n_looked_up[path.name] += 1

    def do_GET(self):
        path = self._begin()
        if path is None:
            return
        files, content = self.files, path.read_bytes()
        files.n_sent[path.name] += 1
        with contextlib.suppress(ConnectionError):
            if files.n_cut[path.name]:
                files.n_cut[path.name] -= 1
                self.wfile.write(content[: len(content) // 2])
            elif path.name in files.held:
                self.wfile.write(content[: len(content) // 2])
                self.wfile.flush()
                files.release.wait(60)
                self.wfile.write(content[len(content) // 2 :])
            else:
                self.wfile.write(content[: self._size(path)])

    def _begin(self):
        """Send the head; the file to send, if one is to be sent."""
        files = self.files
        path = files.folder / urlsplit(self.path).path.lstrip("/")
        status = files.statuses.get(path.name, 200 if path.is_file() else 404)
        if status is None:
            return None
        if files.login and self.headers["Authorization"] != f"Basic {base64.b64encode(files.login.encode()).decode()}":
            status = 401
        self.send_response(status)
        self.send_header("Connection", "close")
        self.send_header("Content-Length", str(self._size(path) if status == 200 else 0))
        if status == 200 and files.is_dated:
            self.send_header("Last-Modified", formatdate(path.stat().st_mtime, usegmt=True))
        self.end_headers()
        return path if status == 200 else None

    def _size(self, path):
        is_shrunk = self.command == "GET" and path.name in self.files.shrunk
        return path.stat().st_size - 10 * is_shrunk

    def log_message(self, *_):
        pass
