"""The core's gates from the detector's settings: for the detector itself and for whoever runs its core elsewhere."""

from runtime.settings import MILLISECOND_NS, DetectorSettings
from streams.core.detection import Gates
from streams.core.sizing import SizeLimits
from streams.core.waterfall import Pricing


def gates_of(settings: DetectorSettings, *, bare: bool = False) -> Gates:
    """What a candidate must pass; `bare` leaves the crossing of live books alone."""
    return Gates(
        freshness_ns=settings.freshness_ms * MILLISECOND_NS,
        minimum_net=settings.minimum_net_microdollars,
        skew_ns=settings.skew_ms * MILLISECOND_NS,
        pricing=Pricing(
            hurdle_ppm=settings.hurdle_ppm,
            void_ppm=settings.void_ppm,
            mismatch_ppm=settings.mismatch_ppm,
            gas=settings.gas_microdollars,
            basis_ppm=settings.basis_ppm,
        ),
        limits=SizeLimits(settings.limit_group_contracts, settings.limit_venue_dollars, settings.limit_void_dollars),
        bare=bare,
    )
