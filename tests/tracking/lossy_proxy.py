"""A way to an MLflow server on which answers are lost: what a network does at times, and no server can be asked for."""

import contextlib
import http.client
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

NOT_PASSED_ON = {"connection", "content-length", "host", "keep-alive", "transfer-encoding", "content-encoding"}

Fate = Callable[[str, Callable[[], None]], bool]
"""Told a request's path and how to carry it out; it does so or not, and says whether the answer arrives."""


class _Handler(BaseHTTPRequestHandler):
    server: "_Proxy"

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        answers: list[tuple[int, list[tuple[str, str]], bytes]] = []

        def carry_out() -> None:
            connection = http.client.HTTPConnection(self.server.behind, timeout=60)
            headers = {name: value for name, value in self.headers.items() if name.lower() not in NOT_PASSED_ON}
            connection.request(self.command, self.path, body, headers)
            answer = connection.getresponse()
            answers.append((answer.status, answer.getheaders(), answer.read()))
            connection.close()

        arrives = self.server.fate(self.path, carry_out)
        self.close_connection = True
        if not arrives:
            return
        ((status, headers, content),) = answers
        self.send_response(status)
        for name, value in headers:
            if name.lower() not in NOT_PASSED_ON:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        with contextlib.suppress(OSError):  # the client has given up
            self.wfile.write(content)

    def do_POST(self) -> None:
        self.do_GET()

    def do_PUT(self) -> None:
        self.do_GET()

    def do_PATCH(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        """Nothing on the terminal."""


class _Proxy(ThreadingHTTPServer):
    daemon_threads = True
    behind: str
    fate: Fate


@contextlib.contextmanager
def lossy_proxy(uri: str, fate: Fate) -> Iterator[str]:
    """The address of a proxy before the server at a URI, for a block's time."""
    with _Proxy(("127.0.0.1", 0), _Handler) as proxy:
        proxy.behind, proxy.fate = urlsplit(uri).netloc, fate
        thread = threading.Thread(target=proxy.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{proxy.server_port}"
        finally:
            proxy.shutdown()
            thread.join()
