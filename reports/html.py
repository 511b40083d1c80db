"""The certificate as one HTML page that can be read, printed and filed. It loads nothing and runs nothing."""

from __future__ import annotations

from reports import lists
from reports.charts import ages_chart, amounts_chart, bar_unit, coverage_strip, landing_chart, states_chart
from reports.counting import RULES
from reports.daytable import day_table, month_table
from reports.markup import section
from reports.model import Certificate
from reports.page import document
from reports.sumtable import sums_table
from reports.words import count, day_text, escape, length, local, utc

_LONG_RANGE = 62
_MOST_SIDE_BY_SIDE = 5


def page(certificate: Certificate) -> str:
    """The whole page."""
    parts = (
        _header(certificate),
        _verdict(certificate),
        _keys(certificate),
        _strip(certificate),
        _currencies(certificate),
        _charts(certificate),
        _days(certificate),
        lists.gaps(certificate),
        lists.differences(certificate),
        lists.findings(certificate),
        lists.parked(certificate),
        _rules(),
        _hash(certificate),
    )
    first, last = certificate.days[0].day, certificate.days[-1].day
    return document(f"Certificate of {certificate.account}, {first} to {last}", "\n".join(parts))


def _header(certificate: Certificate) -> str:
    zone = certificate.zone
    made = f"{local(certificate.made_at, zone)}, that is {utc(certificate.made_at)}"
    if certificate.margin:
        made += f"; nothing younger than {length(certificate.margin)} was taken as proven"
    facts = [
        ("Account", f"{certificate.account} ({certificate.key})"),
        ("From", f"{local(certificate.span.start, zone)} in {zone.key}, that is {utc(certificate.span.start)}"),
        (
            "Up to",
            f"{local(certificate.span.end, zone)} in {zone.key}, that is {utc(certificate.span.end)}, not included",
        ),
        ("Made", made),
    ]
    if certificate.sources_note:
        facts.append(("Sources", certificate.sources_note))
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts)
    first, last = certificate.days[0].day, certificate.days[-1].day
    days = day_text(first) if first == last else f"{day_text(first)} to {day_text(last)}"
    return (
        f'<header><p class="kind">Crossdock certificate of completeness</p><h1>{escape(certificate.account)}</h1>'
        f'<p>{escape(days)}</p><dl class="facts">{rows}</dl></header>'
    )


def _verdict(certificate: Certificate) -> str:
    standing = certificate.standing
    tone = "good" if standing.complete and standing.agrees else "warn" if standing.agrees else "bad"
    words = standing.verdict[:1].upper() + standing.verdict[1:]
    return f'<p class="verdict {tone}">{escape(words)}.<small>{escape(_means(certificate))}</small></p>'


def _means(certificate: Certificate) -> str:
    """The verdict in whole sentences."""
    standing, orders = certificate.standing, count(certificate.orders, "order")
    if standing.complete:
        said = "Every event of the provider's in this range is in the ledger."
    else:
        said = f"Of {count(len(certificate.days), 'day')}, {certificate.proven_days:,} are proven complete."
        said += " What is missing, and why, stands below."
    if not certificate.orders:
        said += " The provider spoke of no order in it."
    if standing.agrees:
        return f"{said}{_agreement(certificate)}"
    found = [f"{count(standing.differing, 'order')} with a difference"] if standing.differing else []
    found += [f"{count(standing.unread, 'order')} whose sides could not be compared"] if standing.unread else []
    verb = "is" if standing.differing + standing.unread == 1 else "are"
    return f"{said} Among {orders} there {verb} {' and '.join(found)}."


def _agreement(certificate: Certificate) -> str:
    if not certificate.orders:
        return ""
    parked = certificate.listing.parked_in_all
    orders = count(certificate.orders, "order")
    what = f"All {orders} were" if certificate.orders > 1 else f"Its {orders} was"
    waits = f" {parked:,} of them {'waits' if parked == 1 else 'wait'} for a person." if parked else ""
    return f" {what} read at the provider and in the store, and nothing is unexplained.{waits}"


def _keys(certificate: Certificate) -> str:
    keys = [
        ("Orders", f"{certificate.orders:,}"),
        ("Days proven", f"{certificate.proven_days:,} of {len(certificate.days):,}"),
        ("Orders that differ", f"{certificate.standing.differing:,}"),
        ("Not compared", f"{certificate.standing.unread:,}"),
        ("Open findings", f"{certificate.standing.findings:,}"),
        ("Parked", f"{certificate.listing.parked_in_all:,}"),
    ]
    return f'<dl class="keys">{"".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in keys)}</dl>'


def _strip(certificate: Certificate) -> str:
    names = sorted({name for day in certificate.days for name in day.proof.by})
    by = f", by {' and '.join(names)}" if names else ""
    told = f"{certificate.proven_days:,} of {count(len(certificate.days), 'day')} proven{by}."
    if certificate.gaps:
        told += " The filled part is proven complete, the outlined part is not; point at it to see why."
    picture = f'<figure>{coverage_strip(certificate)}</figure><p class="soft">{escape(told)}</p>'
    return section("What is proven complete", picture)


def _currencies(certificate: Certificate) -> str:
    if not certificate.total:
        return section("Sums by currency", "<p>The provider spoke of no order in this range.</p>")
    lines = certificate.total
    tables = [sums_table(lines[at : at + _MOST_SIDE_BY_SIDE]) for at in range(0, len(lines), _MOST_SIDE_BY_SIDE)]
    return section("Sums by currency", "".join(tables))


def _charts(certificate: Certificate) -> str:
    if not certificate.orders:
        return section("Charts", "<p>There is nothing to draw.</p>")
    untimed = certificate.series.untimed
    unknown = f" Of {count(untimed, 'landed order')} one of the two moments is not known." if untimed else ""
    states = "Where the ledger has them now, by when the provider first spoke of them: a bar for each "
    pair = (
        (
            "Time from READY to accepted",
            f"Orders by how long it took, or not yet.{unknown}",
            landing_chart(certificate),
        ),
        ("Age of what is open", f"Orders not settled on {utc(certificate.made_at)}.", ages_chart(certificate)),
    )
    amounts = "Each currency on a scale of its own; nothing is converted."
    return section(
        "Charts",
        _figure("Orders by state", f"{states}{bar_unit(certificate)}.", states_chart(certificate))
        + f'<div class="pair">{"".join(_figure(*each) for each in pair)}</div>'
        + _figure("Amounts by currency", amounts, amounts_chart(certificate)),
    )


def _figure(title: str, note: str, picture: str) -> str:
    return f"<figure><figcaption>{escape(title)}<small>{escape(note)}</small></figcaption>{picture}</figure>"


def _days(certificate: Certificate) -> str:
    months = section("Month by month", month_table(certificate)) if len(certificate.days) > _LONG_RANGE else ""
    return months + section("Day by day", day_table(certificate))


def _rules() -> str:
    rules = "".join(f"<li>{escape(rule)}</li>" for rule in RULES)
    return section("How this was counted", f"<ul>{rules}</ul>")


def _hash(certificate: Certificate) -> str:
    orders = escape(count(certificate.orders, "order"))
    said = f"SHA-256 of the {orders}, the proven intervals and the findings. The JSON document tells how to compute it."
    return section("What it was computed from", f"<p>{said}</p><p><code>{escape(certificate.sha256)}</code></p>")
