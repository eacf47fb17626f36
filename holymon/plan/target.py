"""One thing that can be called: where it is, what it speaks, and who it is told that is calling."""

from typing import Any, Final
from urllib.parse import quote

from holymon.formatting import Table
from holymon.plan import request_fields
from holymon.plan.price import Price
from holymon.plan.quirks import Quirks
from holymon.plan.shapes import MAX_SECONDS
from holymon.safety import plain
from holymon.structs import (
    Struct,
    check_base_url,
    check_range,
    check_variable_name,
    replace,
    require,
)

ENDPOINTS: Final = ("chat", "messages", "responses", "completions", "embeddings")
"""The dialects that a target may speak: OpenAI's, but for `messages`, which is Anthropic's."""


class Allowance(Struct, frozen=True):
    """Requests and tokens (in and out) that an API takes in a minute; None is "not known"."""

    requests: float | None = None
    tokens: float | None = None

    def __post_init__(self) -> None:
        """Raise PlanError if a limit is below 1."""
        super().__post_init__()
        for name in ("requests", "tokens"):
            check_range(f"limit of {name}", getattr(self, name), 1, 1e12, "a minute")


class Target(Struct, frozen=True):
    """One thing that can be called, in the dialect of its endpoint. Written `provider/model`."""

    provider: str
    model: str
    base_url: str = ""
    endpoint: str = "chat"
    api_key_env: str = ""
    auth: str = ""
    headers: dict[str, str] = {}  # noqa: RUF012 - copied for each instance
    query: dict[str, str] = {}  # noqa: RUF012
    body: dict[str, Any] = {}  # noqa: RUF012
    price: Price = Price()
    limits: Allowance = Allowance()
    stall_s: float | None = None
    ca_file: str = ""
    cert_file: str = ""
    cert_password_env: str = ""
    insecure_http: bool = False
    quirks: Quirks = Quirks()

    def __post_init__(self) -> None:
        """Raise PlanError if its name, address, endpoint or variable can't be one."""
        super().__post_init__()
        require(bool(self.model.strip()), "model", "is empty", "name a model")
        require(bool(self.provider.strip()), "provider", "is empty", "name a provider")
        check_range("stall_s", self.stall_s, 0.01, MAX_SECONDS, "seconds")
        none = f"{plain(self.endpoint)!r} is none"
        require(self.endpoint in ENDPOINTS, "endpoint", none, f"name one of {', '.join(ENDPOINTS)}")
        for field in ("api_key_env", "cert_password_env"):
            if name := getattr(self, field):
                check_variable_name(name, field)
        request_fields.check_auth(self.auth)
        request_fields.check_headers(self.headers)
        request_fields.check_query(self.query)
        if self.base_url:
            check_base_url(self.address)

    def __hash__(self) -> int:
        """By its name and address: tables, which it holds too, have no hash."""
        return hash((self.provider, self.model, self.base_url, self.endpoint))

    def _repr_html_(self) -> str:
        return Table(("target", self.name), self.facts, "l").html()

    @property
    def name(self) -> str:
        """The target's name, as `provider/model`."""
        return f"{self.provider}/{self.model}"

    words = name

    @property
    def address(self) -> str:
        """The base_url with the model where it says `{model}`."""
        return self.base_url.replace("{model}", quote(self.model, safe=""))

    @property
    def variables(self) -> tuple[str, ...]:
        """The environment variables whose values go to its address."""
        key = (
            ()
            if self.auth == request_fields.NO_KEY or not self.api_key_env
            else (self.api_key_env,)
        )
        values = [*self.headers.values(), *self.query.values()]
        inner = (name for value in values for name in request_fields.variables_in(value))
        # Plain ones: a text that remembers its file is none that YAML can be made of.
        return tuple(dict.fromkeys(map(str, (*key, *inner))))

    @property
    def billed(self) -> Price:
        """The price by which its calls are billed: of embeddings there is no output to pay for."""
        if self.endpoint == "embeddings" and self.price.input is not None:
            return replace(self.price, output=self.price.output or 0.0)
        return self.price

    def streams(self, wanted: bool) -> bool:
        """Whether its answers are streamed where the plan asks for that, or does not."""
        return self.endpoint != "embeddings" and self.quirks.streams(wanted)

    @property
    def simulated(self) -> bool:
        """Whether this is the built-in simulator."""
        return self.provider == "sim"
