"""An S3 on this machine: moto's server, over real HTTP, that can go away and come back; and one that refuses all."""

import contextlib
import http.server
import threading
import urllib.request

import boto3
import s3fs
from moto.server import ThreadedMotoServer

_DENIED = b'<?xml version="1.0"?><Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>'


class S3:
    """The server, empty, with the login that a process needs in the environment while the block runs.

    Args:
        environment: pytest's monkeypatch.
    """

    def __init__(self, environment):
        self._environment = environment
        self.port = 0

    def __enter__(self):
        self.start()
        self.point_to(self.port)
        # moto keeps what was written for as long as its process lives.
        urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{self.port}/moto-api/reset", method="POST"))
        return self

    def __exit__(self, *_):
        with contextlib.suppress(AttributeError):
            self.stop()
        s3fs.S3FileSystem.clear_instance_cache()

    def start(self):
        """Listen, on the same port as before; what was written is still there."""
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=self.port, verbose=False)
        self._server.start()
        self.port = self._server.get_host_and_port()[1]

    def stop(self):
        """Go away: connections are refused."""
        self._server.stop()
        self._server._server.server_close()
        del self._server

    def point_to(self, port):
        """Whoever is told of an S3 from now on finds it there."""
        for name, value in {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "AWS_ACCESS_KEY_ID": "me",
            "AWS_SECRET_ACCESS_KEY": "hush",
            "AWS_DEFAULT_REGION": "us-east-1",
        }.items():
            self._environment.setenv(name, value)
        s3fs.S3FileSystem.clear_instance_cache()

    @contextlib.contextmanager
    def client(self):
        """A client that is not ours."""
        client = boto3.client("s3")
        try:
            yield client
        finally:
            client.close()

    def make_bucket(self, name):
        with self.client() as client:
            client.create_bucket(Bucket=name)

    def keys(self, bucket, prefix=""):
        """What really lies in a bucket."""
        with self.client() as client:
            pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
            return sorted(one["Key"] for page in pages for one in page.get("Contents", []))

    def forget_login(self):
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            self._environment.delenv(name)
        self._environment.setenv("AWS_EC2_METADATA_DISABLED", "true")
        self._environment.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
        s3fs.S3FileSystem.clear_instance_cache()


@contextlib.contextmanager
def refusing_server():
    """The port of a server that answers whatever is asked as S3 answers one who has no permission."""

    class Refusal(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # who sends "Expect: 100-continue" is answered

        def _refuse(self):
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(403)
            self.send_header("Content-Type", "application/xml")
            self.send_header("Content-Length", str(len(_DENIED)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(_DENIED)

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _refuse  # noqa: N815 - the library's names

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refusal) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()
