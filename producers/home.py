"""Where a venue's processes may run."""

from runtime.settings import SettingsError
from schemas.records import Region, Venue
from schemas.topics import HOME


def require_home(venue: Venue, region: Region, process: str = "producer") -> None:
    """Raise SettingsError unless `region` is the venue's own: its keys and its processes live nowhere else."""
    if region != HOME[venue]:
        raise SettingsError(f"DUTCHBOOK_REGION is {region}: the {venue} {process} runs in region {HOME[venue]} only")
