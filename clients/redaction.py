"""Keeps secrets out of everything that people read: logs, outcome messages, exception texts.

Two nets. Values that were registered (every client registers its key when it is made) are replaced wherever they
stand, also percent-encoded or JSON-escaped. Shapes that are known to be secret (``Authorization`` headers, bearer
tokens, Glopal's ``GL.…`` keys, query parameters such as ``merchantGUID``) are replaced even when nobody registered
them. httpx writes whole URLs to its log at INFO and httpcore whole headers at DEBUG, so both are filtered always.
"""

from __future__ import annotations

import json
import logging
import re
from urllib.parse import quote, quote_plus

from pydantic import SecretStr

MASK = "***"
_SHORTEST = 4
# Shorter values are replaced only where they stand alone; inside longer words they would garble harmless text.
_ANYWHERE_FROM = 8

_QUERY_NAMES = (
    "merchantguid|merchant_guid|guid|access_token|refresh_token|id_token|token|api_key|apikey|api-key|key|client_secret"
    "|secret|password|passwd|pwd|signature|sig|authorization|auth|jwt"
)
_FIELD_NAMES = "merchantguid|merchant_guid|access_token|refresh_token|api_key|apikey|client_secret|password|x-api-key"
_SHAPES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"(?i)(authorization['\"]?\s*[:=,]\s*(?:b?['\"])?)[^'\"\r\n,)}\]]+"), rf"\g<1>{MASK}"),
    (re.compile(r"(?i)\b(bearer\s+)[^\s'\",)}\]]+"), rf"\g<1>{MASK}"),
    (re.compile(r"(?i)\bGL\.[^\s'\"<>&,;)}\]]{3,}"), MASK),
    (re.compile(rf"(?i)([?&;](?:{_QUERY_NAMES})=)[^&#\s'\"]*"), rf"\g<1>{MASK}"),
    (re.compile(rf"(?i)(['\"]?\b(?:{_FIELD_NAMES})['\"]?\s*[:=]\s*b?['\"])[^'\"]*"), rf"\g<1>{MASK}"),
)
_HTTP_LOGGERS = (
    "httpx",
    "httpcore",
    "httpcore.connection",
    "httpcore.http11",
    "httpcore.http2",
    "httpcore.proxy",
    "httpcore.socks",
)
_OUR_LOGGERS = ("clients", "clients.transport", "clients.glopal")


class Redactor:
    """A set of secret values, and the replacement of these and of known shapes in a text."""

    def __init__(self) -> None:
        self._values: set[str] = set()
        self._pattern: re.Pattern[str] | None = None

    def add(self, secret: SecretStr | str) -> None:
        """Register a value. One shorter than four characters is ignored: it would be found in every sentence."""
        value = secret.get_secret_value() if isinstance(secret, SecretStr) else secret
        if len(value) < _SHORTEST or value in self._values:
            return
        forms = {value, quote(value, safe=""), quote_plus(value), json.dumps(value)[1:-1], repr(value)[1:-1]}
        self._values |= forms
        # The longest first, so that a secret which holds another one leaves no tail behind.
        parts = sorted(self._values, key=len, reverse=True)
        self._pattern = re.compile("|".join(_literal(part) for part in parts))

    def redact(self, text: str) -> str:
        """``text`` with every secret replaced by ``***``."""
        if self._pattern is not None:
            text = self._pattern.sub(MASK, text)
        for pattern, replacement in _SHAPES:
            text = pattern.sub(replacement, text)
        return text


def _literal(value: str) -> str:
    escaped = re.escape(value)
    return escaped if len(value) >= _ANYWHERE_FROM else rf"(?<![0-9A-Za-z]){escaped}(?![0-9A-Za-z])"


_process_wide = Redactor()


def register_secret(secret: SecretStr | str) -> None:
    """Add a value to the process-wide set. Every client does this with its key; other holders of secrets should too."""
    _process_wide.add(secret)


def redact(text: str) -> str:
    """``text`` without any registered secret and without anything that has the shape of one."""
    return _process_wide.redact(text)


class RedactingFilter(logging.Filter):
    """Lets every record pass, redacted: message, arguments, traceback and stack.

    Records of httpx lose the query and the reason phrase, those of httpcore everything but the name of the step:
    response headers are the other side's text and may hold a buyer's values as well as a key.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Redact ``record`` in place. A record without secrets keeps its arguments as they were."""
        text = _message_of(record)
        clean = redact(_without_foreign_text(record, text))
        if clean != text or not _formats(record):
            record.msg, record.args = clean, None
        if record.exc_info:
            trace = record.exc_text or _FORMATTER.formatException(record.exc_info)
            safe = redact(trace)
            if safe != trace:
                # Formatters print exc_text; without exc_info nobody can format the original again.
                record.exc_text, record.exc_info = safe, None
        elif record.exc_text:
            record.exc_text = redact(record.exc_text)
        if record.stack_info:
            record.stack_info = redact(record.stack_info)
        return True


_FORMATTER = logging.Formatter()


def _formats(record: logging.LogRecord) -> bool:
    try:
        record.getMessage()
    except (TypeError, ValueError, KeyError):
        return False  # the arguments do not fit the format; the text was put together by hand below
    return True


def _message_of(record: logging.LogRecord) -> str:
    if _formats(record):
        return record.getMessage()
    return f"{record.msg} {record.args!r}"


def _without_foreign_text(record: logging.LogRecord, text: str) -> str:
    if record.name.startswith("httpcore"):
        return text.split(" ", 1)[0]
    if record.name == "httpx" and isinstance(record.args, tuple) and len(record.args) == 5:
        method, url, _version, status, _reason = record.args
        return f"HTTP Request: {method} {str(url).split('?', 1)[0]} {status}"
    return text


def install_log_redaction() -> None:
    """Put the filter on the HTTP loggers, on ours and on every handler configured so far. May be called often.

    The HTTP loggers are raised to WARNING as well: a filter mends a record, a level never makes it. Call it once more
    after logging was configured, since handlers added later are not known yet.
    """
    for name in (*_HTTP_LOGGERS, *_OUR_LOGGERS):
        logger = logging.getLogger(name)
        _guard(logger)
        if name in _HTTP_LOGGERS and logger.level < logging.WARNING:
            logger.setLevel(logging.WARNING)
    known = [entry for entry in logging.root.manager.loggerDict.values() if isinstance(entry, logging.Logger)]
    for handler in {h for logger in (logging.root, *known) for h in logger.handlers}:
        _guard(handler)
    if logging.lastResort is not None:
        _guard(logging.lastResort)


def _guard(target: logging.Logger | logging.Handler) -> None:
    if not any(isinstance(present, RedactingFilter) for present in target.filters):
        target.addFilter(RedactingFilter())
