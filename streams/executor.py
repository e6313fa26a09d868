"""The executor: `faust -A streams.executor worker`. Opportunities become tickets and orders, executions end them.

The Faust app only; what it does stands in `streams.executor_edge`, what it decides in `streams.core.legging`.
"""

from typing import Any, Final

from runtime import logs
from runtime.settings import ExecutorSettings, KafkaSettings
from streams.app import load_or_exit, make_app
from streams.executor_edge import EVENT_TOPICS, ExecutorEdge

TIMER_S: Final = 1.0

KAFKA = load_or_exit(KafkaSettings)
SETTINGS = load_or_exit(ExecutorSettings)
app = make_app("executor", KAFKA, SETTINGS.executor_web_port)
events = app.topic(*EVENT_TOPICS, key_type=bytes, value_type=bytes)
edge: ExecutorEdge | None = None


def _edge() -> ExecutorEdge:
    global edge
    if edge is None:
        edge = ExecutorEdge(KAFKA, SETTINGS)
    return edge


@app.on_partitions_assigned.connect
async def _on_assigned(_app: Any, assigned: Any, **_: Any) -> None:
    await _edge().assigned({(place.topic, place.partition) for place in assigned})


@app.on_partitions_revoked.connect
async def _on_revoked(_app: Any, _revoked: Any, **_: Any) -> None:
    await _edge().revoked()


@app.on_before_shutdown.connect
async def _on_shutdown(_app: Any, **_: Any) -> None:
    await _edge().stop()


@app.timer(TIMER_S)
async def watch() -> None:
    """Report orders that stay unanswered; a lost delivery ends the worker."""
    try:
        _edge().tick()
    except Exception:
        await _give_up()
        raise


@app.agent(events, concurrency=1)
async def execute(stream: Any) -> None:
    """Feed every record to the edge; what it cannot survive ends the worker, for the supervisor to start it afresh."""
    worker = _edge()
    async for event in stream.noack().events():
        if not await worker.ready():
            continue
        try:
            worker.take(event)
        except Exception:
            await _give_up()
            raise


async def _give_up() -> None:
    logs.get(process="executor").exception("the executor cannot go on")
    await app.crash(RuntimeError("executor"))
