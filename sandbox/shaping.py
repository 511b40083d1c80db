"""Good documents made odd: keys that nobody knows, keys that are gone."""

from typing import Any

from sandbox.jsontext import Json

_DEFAULT_MISSING = {
    "events": "events",
    "order": "currency",
    "accept": "status",
    "cancel": "status",
    "store.find": "orders",
    "store.note": "ok",
    "store.ping": "ok",
}


def with_unknown_fields(document: Json) -> Json:
    """Put keys that no contract knows into every object of the document.

    An options table is left as it is: its keys are what the buyer chose, so another key would be another order.
    """
    if isinstance(document, dict):
        grown: dict[str, Any] = {
            key: value if key == "options" else with_unknown_fields(value) for key, value in document.items()
        }
        grown["x_added_later"] = {"since": "9.9.9", "values": [1, None, "ü"]}
        return grown
    if isinstance(document, list):
        return [with_unknown_fields(item) for item in document]
    return document


def drop_field(document: Json, path: str | None, endpoint: str) -> Json:
    """Take one key out of the document.

    Args:
        document: the parsed answer; changed in place.
        path: dotted path such as `items.0.sku`; None takes the endpoint's usual victim.
        endpoint: name of the endpoint, for the usual victim.
    """
    steps = (path or _DEFAULT_MISSING.get(endpoint, "order")).split(".")
    place = document
    for step in steps[:-1]:
        place = _inside(place, step)
    if isinstance(place, dict):
        place.pop(steps[-1], None)
    elif isinstance(place, list) and steps[-1].isdigit() and int(steps[-1]) < len(place):
        del place[int(steps[-1])]
    return document


def _inside(place: Json, step: str) -> Json:
    if isinstance(place, dict):
        return place.get(step)
    if isinstance(place, list) and step.isdigit() and int(step) < len(place):
        return place[int(step)]
    return None
