"""The detector: `faust -A streams.detector worker`. Books become opportunities.

The Faust app only; what it does stands in `streams.detector_edge`, what it decides in `streams.core.detection`.
"""

from runtime.settings import DetectorSettings, KafkaSettings
from streams.app import load_or_exit, make_app, serve
from streams.detector_edge import BOOK_TOPICS, DetectorEdge

KAFKA = load_or_exit(KafkaSettings)
SETTINGS = load_or_exit(DetectorSettings)
app = make_app("detector", KAFKA, SETTINGS.detector_web_port)
edge = serve(app, BOOK_TOPICS, lambda: DetectorEdge(KAFKA, SETTINGS))
