"""The executor: `faust -A streams.executor worker`. Opportunities become tickets and orders, executions end them.

The Faust app only; what it does stands in `streams.executor_edge`, what it decides in `streams.core.legging`. With
`DUTCHBOOK_RUN` it works on the topics of that replay (`streams.replay.executor_edge`).
"""

from typing import Final

from runtime.settings import ExecutorSettings, KafkaSettings
from streams.app import give_up, load_or_exit, make_app, serve
from streams.executor_edge import EVENT_TOPICS
from streams.replay.executor_edge import edge_of

TIMER_S: Final = 1.0

KAFKA = load_or_exit(KafkaSettings)
SETTINGS = load_or_exit(ExecutorSettings)
app = make_app("executor", KAFKA, SETTINGS.executor_web_port)
edge = serve(app, KAFKA, EVENT_TOPICS, lambda: edge_of(KAFKA, SETTINGS))


@app.timer(TIMER_S)
async def watch() -> None:
    """Report orders that stay unanswered; a lost delivery ends the worker."""
    try:
        edge().tick()
    except Exception:
        await give_up(app, "executor")
        raise
