"""What models cost by genai-prices: found by the API's address, as of a moment, without a network.

    priced(target, moment) -> the target with its price, unless somebody stated one

The library takes 0.3 s and 17 MB to import, so it is when a price is asked that no book states,
and for no API on this machine. Nothing is fetched: its prices are those it was installed with.
Not modelled are one-hour cache writes (priced as five-minute ones), tokens of images and sound
(priced as text), batches and tools; a model that costs by the request has no price here.
"""

from datetime import datetime
from importlib.metadata import version
from typing import Any, Final
from urllib.parse import urlsplit

from holymon.plan.price import CLASSES, Price, Tier
from holymon.plan.target import Target
from holymon.structs import replace

SOURCE: Final = "genai-prices"
_KEYS: Final = dict(zip(CLASSES, (
    "input_mtok", "output_mtok", "cache_read_mtok", "cache_write_mtok", "output_reasoning_mtok",
), strict=True))  # fmt: skip
_HERE: Final = ("127.", "::1", "localhost")


def priced(target: Target, moment: datetime) -> Target:
    """The target with its price as of a moment (UTC), where no book states one.

    A price that was found here before is looked up anew.
    """
    if target.price.stated and not target.price.source.startswith(SOURCE):
        return target
    tier = target.body.get("service_tier")
    price = known_price(target.address, target.model, moment, tier if isinstance(tier, str) else "")
    return replace(target, price=price) if price.stated else target


def known_price(address: str, model: str, moment: datetime, service_tier: str = "") -> Price:
    """The price of a model of the API at an address as of a moment; empty if not known."""
    if not address or (urlsplit(address).hostname or "").startswith(_HERE):
        return Price()
    from genai_prices.data_snapshot import get_snapshot

    try:
        about = get_snapshot().find_provider_model(model, None, None, address)[1]
    except LookupError:
        return Price()
    context = {"service_tier": service_tier} if service_tier else None
    prices = about.get_prices(moment, context)
    if prices.requests_kcount is not None or prices.input_mtok is None:
        return Price()
    given = {name: getattr(prices, key) for name, key in _KEYS.items()}
    starts = sorted({step.start for value in given.values() for step in _steps(value)})
    base: dict[str, Any] = {
        name: _number(getattr(value, "base", value)) for name, value in given.items()
    }
    return Price(
        **base,
        tiers=tuple(_tier(given, start) for start in starts),
        source=f"{SOURCE} {version(SOURCE)}" + f", {service_tier}" * bool(service_tier),
        date=moment.date().isoformat(),
    )


def _tier(given: dict[str, Any], start: int) -> Tier:
    """What holds from a start on: of each class the last step that began by then."""
    prices = {
        name: _number(step.price)
        for name, value in given.items() for step in _steps(value) if step.start <= start
    }  # fmt: skip
    return Tier(over=start, **prices)


def _steps(value: Any) -> list[Any]:
    return list(getattr(value, "tiers", ()))


def _number(value: Any) -> float | None:
    return None if value is None else float(value)
