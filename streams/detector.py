"""The detector: `faust -A streams.detector worker`. Books become opportunities.

The Faust app only; what it does stands in `streams.detector_edge`, what it decides in `streams.core.detection`. With
`DUTCHBOOK_RUN` it works on the topics of that replay instead of the live ones (`streams.replay.detector_edge`).
"""

from typing import Final

from runtime.settings import DetectorSettings, KafkaSettings
from streams.app import give_up, load_or_exit, make_app, serve
from streams.detector_edge import BOOK_TOPICS
from streams.replay.detector_edge import edge_of

TIMER_S: Final = 0.2

KAFKA = load_or_exit(KafkaSettings)
SETTINGS = load_or_exit(DetectorSettings)
app = make_app("detector", KAFKA, SETTINGS.detector_web_port)
edge = serve(app, KAFKA, BOOK_TOPICS, lambda: edge_of(KAFKA, SETTINGS))


@app.timer(TIMER_S)
async def watch() -> None:
    """Take in references also while no book comes; a lost delivery ends the worker."""
    try:
        edge().tick()
    except Exception:
        await give_up(app, "detector")
        raise
