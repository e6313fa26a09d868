"""What the InfluxDB task makes of each answer, with the real client against a scripted server on loopback."""

import base64
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from pydantic import SecretStr

from runtime.settings import InfluxSettings
from sinks.influx import LINES_PER_WRITE, InfluxTask, StoreRefused
from sinks.task import BatchRejected, RecordRejected, RetriableError
from tests.unit.sinks.make import NOW_NS, book, opportunity, sink_record, ticket
from tests.unit.sinks.reader import read_line

HERE = ("book.kalshi", 0)


class ScriptedServer(HTTPServer):
    """Answers each write with the next of `answers` (then 204) and keeps what was sent."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: list[tuple[int, dict[str, str]]] = []
        self.writes: list[tuple[str, str, list[str]]] = []
        self.signed_in: list[str] = []
        self.cookies: list[str | None] = []


class Handler(BaseHTTPRequestHandler):
    server: ScriptedServer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        if self.path == "/api/v2/signin":
            self._sign_in()
            return
        self.server.cookies.append(self.headers["Cookie"])
        self.server.writes.append((self.path, self.headers["Authorization"], body.split("\n")))
        status, headers = self.server.answers.pop(0) if self.server.answers else (204, {})
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _sign_in(self) -> None:
        self.server.signed_in.append(self.headers["Authorization"])
        self.send_response(204)
        self.send_header("Set-Cookie", "influxdb-oss-session=abc")
        self.end_headers()

    def do_GET(self) -> None:
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as scripted:
        thread = threading.Thread(target=scripted.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield scripted
        scripted.shutdown()
        thread.join()


@pytest.fixture
def task(server: ScriptedServer) -> Iterator[InfluxTask]:
    store = InfluxSettings(influx_url=f"http://127.0.0.1:{server.server_port}", influx_token=SecretStr("reader:secret"))
    made = InfluxTask(store, wall_ns=lambda: NOW_NS + 9_000)
    made.start()
    yield made
    made.stop()


def test_a_user_signs_in_once_and_writes_in_that_session(server: ScriptedServer) -> None:
    url = f"http://127.0.0.1:{server.server_port}"
    made = InfluxTask(InfluxSettings(influx_url=url, influx_username="u", influx_password=SecretStr("p")))
    made.start()
    for offset in (0, 1):
        made.put([sink_record([book()], offset, "book.kalshi")])
        made.flush({HERE: offset + 1})
    assert server.signed_in == ["Basic " + base64.b64encode(b"u:p").decode()]
    assert server.cookies == ["influxdb-oss-session=abc"] * 2
    assert [authorization for _, authorization, _ in server.writes] == [None, None]
    made.stop()


def test_points_are_written_before_their_offsets_are_given_out(server: ScriptedServer, task: InfluxTask) -> None:
    task.put([sink_record([book(1), book(2)], 0, "book.kalshi"), sink_record(opportunity(), 0, "opportunity")])
    assert task.pre_commit() == {}
    task.flush({HERE: 1})
    assert task.pre_commit() == {HERE: 1}
    ((path, authorization, lines),) = server.writes
    assert "bucket=market%2Fautogen" in path
    assert "org=-" in path
    assert "precision=ns" in path
    assert authorization == "Token reader:secret"
    assert [read_line(line).measurement for line in lines] == ["book", "book", "opportunity"]
    assert read_line(lines[0]).fields["data_server_stored_ns"] == NOW_NS + 9_000


def test_republished_books_count_as_done_and_are_not_written(server: ScriptedServer, task: InfluxTask) -> None:
    task.put([sink_record([book(1, republished=True)], 0, "book.kalshi")])
    task.flush({HERE: 1})
    assert server.writes == []
    assert task.pre_commit() == {HERE: 1}


def test_long_batches_are_cut(server: ScriptedServer, task: InfluxTask) -> None:
    task.put([sink_record([book(number) for number in range(LINES_PER_WRITE + 1)], 0, "book.kalshi")])
    task.flush({HERE: 1})
    assert [len(lines) for _, _, lines in server.writes] == [LINES_PER_WRITE, 1]


@pytest.mark.parametrize("status", [429, 500, 503])
def test_later_it_may_work(server: ScriptedServer, task: InfluxTask, status: int) -> None:
    server.answers = [(status, {"Retry-After": "7"})]
    task.put([sink_record([book()], 0, "book.kalshi")])
    with pytest.raises(RetriableError) as caught:
        task.flush({HERE: 1})
    assert caught.value.retry_after_s == 7.0
    assert task.pre_commit() == {}


@pytest.mark.parametrize("status", [400, 413, 422])
def test_lines_at_fault_are_looked_for(server: ScriptedServer, task: InfluxTask, status: int) -> None:
    server.answers = [(status, {})]
    task.put([sink_record([book()], 0, "book.kalshi")])
    with pytest.raises(BatchRejected, match=str(status)):
        task.flush({HERE: 1})


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refused_sink_stops_and_says_what_to_check(server: ScriptedServer, task: InfluxTask, status: int) -> None:
    server.answers = [(status, {})]
    task.put([sink_record([book()], 0, "book.kalshi")])
    with pytest.raises(StoreRefused, match="DUTCHBOOK_INFLUX_TOKEN"):
        task.flush({HERE: 1})


def test_a_store_that_does_not_listen_is_retried() -> None:
    task = InfluxTask(InfluxSettings(influx_url="http://127.0.0.1:1"))
    with pytest.raises(RetriableError, match="does not answer"):
        task.start()
    task.put([sink_record([book()], 0, "book.kalshi")])
    with pytest.raises(RetriableError):
        task.flush({HERE: 1})
    task.stop()


def test_what_failed_is_forgotten_and_given_again(server: ScriptedServer, task: InfluxTask) -> None:
    server.answers = [(503, {})]
    record = sink_record([book()], 0, "book.kalshi")
    task.put([record])
    with pytest.raises(RetriableError):
        task.flush({HERE: 1})
    task.put([record])
    task.flush({HERE: 1})
    assert [len(lines) for _, _, lines in server.writes] == [1, 1]


def test_a_record_without_a_point_is_named_and_nothing_of_its_batch_stays(
    server: ScriptedServer, task: InfluxTask
) -> None:
    bad = sink_record([book(bid_count=9)], 1, "book.kalshi")
    with pytest.raises(RecordRejected) as caught:
        task.put([sink_record([book()], 0, "book.kalshi"), bad])
    assert caught.value.record is bad
    with pytest.raises(RecordRejected, match="a Ticket has no measurement"):
        task.put([sink_record(ticket(), 0, "book.kalshi")])
    task.flush({})
    assert server.writes == []
