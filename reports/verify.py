"""Checks a certificate's JSON document against its orders: the hash, and then every number and word in it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from models.ranges import BadRange, zone_of
from models.time import parse_instant
from reports.canon import Unreadable, fact_of, finding_of, fingerprint, proven_of, span_of
from reports.certificate import CertificateBuilder
from reports.export import FORMAT, as_dict
from reports.facts import OrderFact
from reports.model import Certificate

_BROKEN = (KeyError, TypeError, ValueError, AttributeError)


def verify(document: object, orders: Iterable[OrderFact] | None = None) -> tuple[str, ...]:
    """What does not hold in a certificate's document, in plain words; nothing when all of it does.

    With orders, the whole certificate is made anew from them and compared. Without, only the hash can be recomputed
    from what the document says of its orders.

    Args:
        document: what ``to_json`` wrote, read by ``json.loads``.
        orders: the facts, e.g. from the CSV. By default the ones in the document.
    """
    if not isinstance(document, Mapping) or document.get("format") != FORMAT:
        return (f"this is no {FORMAT!r}",)
    try:
        problems = _hash_problems(document)
        if orders is None and "orders" in document:
            orders = map(fact_of, document["orders"])
        return (*problems, *(_differences(document, orders) if orders is not None else ()))
    except Unreadable as error:
        return (f"the document cannot be read: {error}",)
    except _BROKEN as error:
        return (f"the document cannot be read: {error!r}",)


def _hash_problems(document: Mapping[str, Any]) -> list[str]:
    said = document["hash"]
    computed = fingerprint(
        document["key"],
        span_of(document),
        document["zone"],
        document["proven"],
        document["findings"],
        (said["orders_count"], said["orders_sum"]),
    )
    return [] if computed == said["sha256"] else ["sha256 is not the hash of what the document says"]


def _differences(document: Mapping[str, Any], orders: Iterable[OrderFact]) -> list[str]:
    made = json.loads(json.dumps(as_dict(_again(document, orders))))
    names = sorted((set(made) | set(document)) - {"orders"})
    return [f"{name} does not follow from the orders" for name in names if made.get(name) != document.get(name)]


def _again(document: Mapping[str, Any], orders: Iterable[OrderFact]) -> Certificate:
    """The certificate, made anew of what the document says it was made of."""
    try:
        zone = zone_of(document["zone"])
    except BadRange as error:
        raise Unreadable(str(error)) from None
    builder = CertificateBuilder(
        account=document["account"],
        key=document["key"],
        span=span_of(document),
        zone=zone,
        made_at=parse_instant(document["made_at"]),
        margin=timedelta(seconds=document["margin_seconds"]),
        most_named=document["listed_at_most"],
    )
    for fact in orders:
        builder.add(fact)
    return builder.finish(
        [proven_of(record) for record in document["proven"]],
        [finding_of(record) for record in document["findings"]],
        document["sources_note"],
        {span_of(gap): gap["reason"] for gap in document["gaps"]},
    )
