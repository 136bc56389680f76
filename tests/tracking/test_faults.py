"""What a server that fails makes a person read, once; and that nobody waits for it."""

import contextlib
import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from genotune.errors import SweepError
from genotune.tracking.faults import fault_of
from genotune.tracking.stores import open_client


class _Always(BaseHTTPRequestHandler):
    """Gives every request the same answer, and keeps its path."""

    def do_GET(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.asked.append(self.path)
        status, body = self.server.answer
        if status is None:
            self.close_connection = True
            return
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def do_POST(self):
        self.do_GET()

    def log_message(self, *_):
        pass


@pytest.fixture
def answering():
    """Starts a server that gives every request this answer, or hangs up (status None), and remembers what was asked."""
    with contextlib.ExitStack() as stack:

        def start(status, body=""):
            server = stack.enter_context(ThreadingHTTPServer(("127.0.0.1", 0), _Always))
            server.answer, server.asked = (status, body), []
            server.uri = f"http://alice:secret@127.0.0.1:{server.server_port}"
            thread = threading.Thread(target=server.serve_forever, daemon=True)
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.shutdown)
            return server

        yield start


@pytest.fixture
def silent():
    """The address of a server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def told_by(uri):
    client = open_client(uri)
    try:
        client.get_experiment_by_name("yeast")
    except Exception as error:  # noqa: BLE001 - whichever it is, it is what the recorder would meet
        return fault_of(error, uri)
    pytest.fail("it was told nothing")


@pytest.mark.parametrize(
    ("status", "body", "kind", "words"),
    [
        (401, "You are not authenticated.", "refused", "doesn't let this user in. Set MLFLOW_TRACKING_USERNAME and"),
        (403, json.dumps({"error_code": "PERMISSION_DENIED", "message": "no"}), "refused", "It said: PERMISSION_DEN"),
        (500, "a proxy's page", "away", "takes nothing now. too many 500 error responses"),
        (503, "", "away", "takes nothing now. too many 503 error responses"),
        (None, "", "away", "takes nothing now. Remote end closed connection without response"),
        (404, "<html>not here</html>", "older", "Is it an MLflow server, and of version 3 or later?"),
        (400, json.dumps({"error_code": "INVALID_PARAMETER_VALUE", "message": "a\nb"}), "unfit", "It said: INVALID"),
    ],
)
def test_each_refusal_of_a_server_has_words_of_its_own_without_the_password(answering, status, body, kind, words):
    server = answering(status, body)
    fault = told_by(server.uri)
    assert fault.kind == kind
    assert fault.words.startswith(f"MLflow (http://***@127.0.0.1:{server.server_port}) ")
    assert words in fault.words
    assert "secret" not in fault.words
    assert "\n" not in fault.words


def test_a_server_whose_name_nobody_knows_is_away():
    fault = told_by("http://alice:secret@mlflow.invalid")
    assert (fault.kind, "secret" in fault.words) == ("away", False)
    assert "takes nothing now. Failed to resolve 'mlflow.invalid'" in fault.words


def test_a_server_that_never_answers_is_away(silent, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    fault = told_by(silent)
    assert fault == ("away", f"MLflow ({silent}) takes nothing now. Read timed out. (read timeout=1)")


def test_what_keeps_genotune_itself_from_recording_is_no_silence():
    fault = fault_of(SweepError("experiment 'yeast' is deleted in MLflow."), "http://mlflow")
    assert fault == ("unfit", "MLflow (http://mlflow) takes nothing now. experiment 'yeast' is deleted in MLflow.")


def test_a_request_that_failed_is_not_sent_again_before_a_look_at_what_is_there(answering, sweep, recorder_of):
    """MLflow's own client would send it again at once: a run whose answer was lost would be made twice."""
    server = answering(503)
    recorder = recorder_of(sweep, server.uri)
    sweep.begin()
    assert not recorder.finish(timeout_s=0.5)
    assert len(server.asked) == 1
    assert "experiments/get-by-name" in server.asked[0]


def test_a_wrong_password_is_told_once_and_a_silence_afterwards_too(answering, sweep, recorder_of, caplog):
    server = answering(401, "You are not authenticated.")
    recorder = recorder_of(sweep, server.uri)
    sweep.begin()
    assert not recorder.finish(timeout_s=4)
    assert len(server.asked) > 1
    server.answer = (503, "")
    assert not recorder.finish(timeout_s=4)
    told = [record.message for record in caplog.records if record.name.startswith("genotune")]
    assert len(told) == 2, told
    assert "doesn't let this user in" in told[0]
    assert "takes nothing now" in told[1]


def test_nobody_waits_for_a_server_that_never_answers(silent, sweep, recorder_of, deliver):
    recorder = recorder_of(sweep, silent)
    recorder.start()
    sweep.begin()
    sweep.run_trial(0)
    sweep.journal.append("sweep_ended", status="complete")
    assert not recorder.finish(timeout_s=0.5)
    assert any(thread.name == "mlflow-recorder" for thread in threading.enumerate()), "it still waits for its answer"
    assert sweep.journal.state.delivered == 0
    deliver(sweep)
    assert sweep.journal.state.delivered == sweep.journal.last_news
