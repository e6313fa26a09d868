"""Settings of every process, resolved once at start from the environment (`DUTCHBOOK_*`) into frozen values.

Nothing reads the environment later, and secrets never print. A wrong setting stops the process at start with its name.
"""

from pathlib import Path
from typing import Final, Literal, Self, TypeVar

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from runtime import msk
from schemas.records import Region
from schemas.runs import check_run_name

SECOND_NS = 1_000_000_000
MILLISECOND_NS = 1_000_000


class SettingsError(ValueError):
    """A setting is missing or wrong; the message names its environment variable."""


class Settings(BaseSettings):
    """Base of all settings: environment only, frozen; variables of other processes are left alone."""

    model_config = SettingsConfigDict(env_prefix="DUTCHBOOK_", frozen=True, extra="ignore", env_ignore_empty=True)


class KafkaSettings(Settings):
    """The two clusters, each by its address (`runtime.msk.parse`), and where this process may keep files."""

    kafka_us: str = "127.0.0.1:19092"
    kafka_eu: str = "127.0.0.1:29092"
    data_dir: Path = Path("data")
    run: str = Field("", description="of a replay: its topics instead of the live ones, empty: live")

    @field_validator("kafka_us", "kafka_eu")
    @classmethod
    def _is_an_address(cls, address: str) -> str:
        msk.parse(address)
        return address

    @field_validator("run")
    @classmethod
    def _run_has_a_name(cls, run: str) -> str:
        return check_run_name(run) if run else run

    def bootstrap(self, region: Region) -> str:
        """The bootstrap address of a region's cluster."""
        return self.kafka_us if region == "us" else self.kafka_eu


class FeedSettings(Settings):
    """What both venues' producers share."""

    book_depth: int = Field(32, ge=1, le=1000, description="levels a side")
    republish_ms: int = Field(2000, ge=100, description="unchanged books of grouped markets are published again")
    reconcile_ms: int = Field(3000, ge=100, description="every book is proved within this, asked for twice in it")
    backoff_initial_ms: int = Field(250, ge=1)
    backoff_limit_ms: int = Field(2500, ge=1, description="the longest wait before a connection is made again")
    dead_letter_ratio: float = Field(0.2, gt=0, le=1, description="of the last 1,000 frames")
    dead_letter_run: int = Field(100, ge=1, description="consecutive undecodable frames")
    market_budget: int = Field(500, ge=0, description="markets followed per venue; those of groups always are")
    catalogue_walk_ms: int = Field(300_000, ge=1000, description="how often the venue's catalogue is walked")
    metadata_refresh_ms: int = Field(60_000, ge=1000, description="how often each market's metadata is read again")
    status_poll_ms: int = Field(2000, ge=100, description="how often it is asked whether grouped markets are traded")
    closed_kept_ms: int = Field(600_000, ge=0, description="how long a market that the venue closed is still followed")


class KalshiSettings(Settings):
    """Kalshi's addresses and key. Without a key the public REST books are polled."""

    region: Region = "us"
    kalshi_rest_url: str = "https://external-api.kalshi.com/trade-api/v2"
    kalshi_ws_url: str = "wss://external-api-ws.kalshi.com/trade-api/ws/v2"
    kalshi_key_id: str = ""
    kalshi_private_key_file: Path | None = None
    kalshi_private_key: SecretStr | None = Field(default=None, description="PEM text, in place of the file")
    kalshi_poll_ms: int = Field(1000, ge=50, description="REST polling interval when there is no key")
    kalshi_markets_per_connection: int = Field(default=250, ge=1)
    kalshi_use_yes_price: bool = Field(default=False, description="the leg that NO prices are asked for in")
    kalshi_audit_markets: int = Field(default=25, ge=0, description="ungrouped books compared at a time; 0: none")

    @model_validator(mode="after")
    def _key_is_whole(self) -> Self:
        file, text = self.kalshi_private_key_file is not None, self.kalshi_private_key is not None
        if file and text:
            raise ValueError("of DUTCHBOOK_KALSHI_PRIVATE_KEY_FILE and DUTCHBOOK_KALSHI_PRIVATE_KEY set one, not both")
        if bool(self.kalshi_key_id) != (file or text):
            raise ValueError(
                "DUTCHBOOK_KALSHI_KEY_ID and DUTCHBOOK_KALSHI_PRIVATE_KEY_FILE (or DUTCHBOOK_KALSHI_PRIVATE_KEY) "
                "go together"
            )
        return self


class PolymarketSettings(Settings):
    """Polymarket's addresses; market data needs no key."""

    region: Region = "eu"
    polymarket_clob_url: str = "https://clob.polymarket.com"
    polymarket_gamma_url: str = "https://gamma-api.polymarket.com"
    polymarket_ws_url: str = "wss://ws-subscriptions-clob.polymarket.com/ws/market"
    polymarket_markets_per_connection: int = Field(100, ge=1, description="each is two of the venue's assets")
    polymarket_rotate_minutes: int = Field(
        60, ge=0, description="a connection is made again after about so long, 0: only when it is lost"
    )


class PaperSettings(Settings):
    """How paper orders are filled."""

    mode: Literal["paper"] = "paper"
    paper_latency_ms: int = Field(50, ge=0, description="from an order's arrival to its match")
    paper_order_age_ms: int = Field(5000, ge=1, description="an order older than this is rejected: its leg is naked")
    freshness_ms: int = Field(5000, ge=1, description="a book older than this fills nothing")


class LimitSettings(Settings):
    """What may be risked: an opportunity is sized within these, and the executor holds to them."""

    limit_group_contracts: int = Field(500, ge=1, description="contracts per group, over all legs")
    limit_venue_dollars: int = Field(2000, ge=1, description="capital per venue")


class DetectorSettings(LimitSettings):
    """The detector's gates, and what it charges an edge with beside fees (`streams.core.waterfall`)."""

    freshness_ms: int = Field(5000, ge=1, description="a leg whose proof is older than this does not count")
    skew_ms: int = Field(4000, ge=0, description="legs whose proofs are further apart do not count, 0: any may")
    minimum_net_microdollars: int = Field(1, ge=1, description="an opportunity nets at least this")
    hurdle_ppm: int = Field(50_000, ge=0, description="yearly return that locked capital must earn, millionths")
    void_ppm: int = Field(1000, ge=0, le=1_000_000, description="a void's probability, where no evidence says")
    mismatch_ppm: int = Field(1000, ge=0, le=1_000_000, description="that venues settle apart, where no evidence says")
    gas_microdollars: int = Field(0, ge=0, description="on-chain cost of each Polymarket leg")
    limit_void_dollars: int = Field(250, ge=1, description="what a void may take from one opportunity's payout")
    basis_ppm: int = Field(0, ge=0, description="of Polymarket's costs: from dollars to pUSD and back, millionths")
    detector_epoch_minutes: int = Field(360, ge=0, description="a journal epoch lasts about so long, 0: without limit")
    detector_web_port: int = Field(6066, ge=1, le=65535, description="Faust's own pages, on 127.0.0.1")


class ExecutorSettings(LimitSettings):
    """The executor's limits."""

    limit_open_tickets: int = Field(20, ge=1, description="unfinished tickets at once")
    cool_down_ms: int = Field(1000, ge=0, description="after an opportunity closes until its basket is armed again")
    executor_maximum_age_ms: int = Field(10_000, ge=1, description="an older opportunity event is passed over")
    executor_unknown_ms: int = Field(10_000, ge=1, description="an order unanswered for longer is reported")
    executor_web_port: int = Field(6067, ge=1, le=65535, description="Faust's own pages, on 127.0.0.1")


LOCAL_INFLUX_TOKEN: Final = SecretStr("dutchbook:dutchbook")


class InfluxSettings(Settings):
    """The time-series store: a token, or a user and password; without either the token of the local stack."""

    influx_url: str = "http://127.0.0.1:8086"
    influx_token: SecretStr | None = None
    influx_username: str = ""
    influx_password: SecretStr | None = None
    influx_org: str = "-"
    influx_bucket: str = "market/autogen"

    @model_validator(mode="after")
    def _signs_in_one_way(self) -> Self:
        if bool(self.influx_username) != (self.influx_password is not None):
            raise ValueError("DUTCHBOOK_INFLUX_USERNAME and DUTCHBOOK_INFLUX_PASSWORD go together")
        if self.influx_token is not None and self.influx_password is not None:
            raise ValueError("set DUTCHBOOK_INFLUX_TOKEN, or DUTCHBOOK_INFLUX_USERNAME and _PASSWORD, not both")
        return self

    def credentials(self) -> dict[str, str]:
        """`token`, or `username` and `password`, in the clear, as InfluxDB's client takes them."""
        if self.influx_password is not None:
            return {"username": self.influx_username, "password": self.influx_password.get_secret_value()}
        return {"token": (self.influx_token or LOCAL_INFLUX_TOKEN).get_secret_value()}


class PostgresSettings(Settings):
    """The relational store. The password may stand in the address or apart from it."""

    postgres_dsn: SecretStr = SecretStr("postgresql://dutchbook@127.0.0.1:5432/dutchbook")
    postgres_password: SecretStr | None = None


class SinkSettings(Settings):
    """When a sink flushes, whichever comes first, and how it backs off."""

    sink_batch_records: int = Field(2000, ge=1)
    sink_batch_ms: int = Field(50, ge=1)
    sink_backoff_initial_ms: int = Field(200, ge=1)
    sink_backoff_limit_ms: int = Field(10_000, ge=1)
    sink_dead_letter_run: int = Field(100, ge=1)
    sink_dead_letter_ratio: float = Field(0.2, gt=0, le=1, description="of the last 1,000 records")


S = TypeVar("S", bound=Settings)


def load(kind: type[S]) -> S:
    """Read one kind of settings from the environment; raises SettingsError naming every wrong variable."""
    try:
        return kind()
    except ValidationError as error:
        problems = [_problem(detail["loc"], detail["msg"]) for detail in error.errors()]
        raise SettingsError("; ".join(problems)) from None


def _problem(location: tuple[int | str, ...], message: str) -> str:
    if not location:
        return message
    return f"DUTCHBOOK_{str(location[0]).upper()}: {message}"
