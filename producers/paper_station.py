"""Where a paper gateway stands: its region, its topics, its consumer group; live, or in a replay."""

from dataclasses import dataclass

from runtime.settings import KafkaSettings
from schemas.records import Region, Venue
from schemas.runs import RUN_HOME, group_of, run_topic
from schemas.topics import HOME, local_name, venue_topic


@dataclass(frozen=True, slots=True)
class Station:
    """One venue's gateway. Live it stands in the venue's own region, where the venue's keys are and nowhere else.

    In a run every venue's gateway stands in the us region: a run's topics are there only. It needs no key, and has
    nobody to show one to: orders of a run are answered on paper, from the run's own books.
    """

    venue: Venue
    run: str

    @property
    def here(self) -> Region:
        """The region whose cluster it reads and writes."""
        return RUN_HOME if self.run else HOME[self.venue]

    def bootstrap(self, settings: KafkaSettings) -> str:
        """The address of that cluster."""
        return settings.bootstrap(self.here)

    def topic(self, origin: str) -> str:
        """The topic that stands for `origin`: itself, or that of the run."""
        return run_topic(self.run, origin)

    @property
    def orders(self) -> str:
        """Where orders come from."""
        return self.topic(local_name(f"order.{self.venue}", "us", self.here))

    @property
    def executions(self) -> str:
        """Where answers go."""
        return self.topic(venue_topic("execution", self.venue, self.here))

    @property
    def books(self) -> str:
        """The venue's books."""
        return self.topic(venue_topic("book", self.venue, self.here))

    @property
    def markets(self) -> str:
        """The venue's metadata."""
        return self.topic(venue_topic("market", self.venue, self.here))

    @property
    def group(self) -> str:
        """The consumer group of the orders."""
        return group_of(f"dutchbook-gateway.{self.venue}", self.run)
