from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import SecretStr

from clients.redaction import MASK, RedactingFilter, Redactor, install_log_redaction, redact, register_secret

TOKEN = st.text("abcXYZ019._~+/-", min_size=8, max_size=40)


@given(st.text(min_size=8, max_size=30).filter(lambda s: MASK not in s), st.text(max_size=30), st.text(max_size=30))
@example("a b/c?d&e=f", "", "")
def test_a_registered_value_is_gone_in_every_form(secret: str, before: str, after: str) -> None:
    """A registered secret is replaced raw, percent-encoded and escaped, wherever it stands."""
    redactor = Redactor()
    redactor.add(secret)
    for form in (secret, quote(secret, safe=""), repr(secret)[1:-1]):
        assert form not in redactor.redact(f"{before}{form}{after}").replace(MASK, "\x00\x00")


@given(TOKEN, st.sampled_from(["Authorization: Bearer {}", "'authorization': 'Basic {}'", "bearer {}", "x=(b'{}')"]))
def test_unregistered_authorization_is_masked(token: str, shape: str) -> None:
    """Authorization headers and bearer tokens are masked even when nobody registered them."""
    text = Redactor().redact(shape.format(token))
    assert (token in text) == shape.startswith("x=")


@given(
    TOKEN,
    st.sampled_from(["merchantGUID", "MerchantGuid", "token", "key", "api_key", "signature", "password"]),
    st.sampled_from("?&"),
)
def test_secret_query_parameters_are_masked(token: str, name: str, sign: str) -> None:
    """A query parameter known to be secret loses its value and keeps its name; its neighbours stay."""
    text = Redactor().redact(f"GET https://host/path{sign}{name}={token}&page=2 200")
    assert f"GET https://host/path{sign}{name}={MASK}&page=2 200" == text


@pytest.mark.parametrize("text", ['{"merchantGUID": "abcd-efgh"}', "api_key='abcd-efgh'", '"password":"abcd-efgh"'])
def test_secret_fields_are_masked(text: str) -> None:
    """The same names are masked when they are fields of JSON or Python."""
    assert "abcd-efgh" not in Redactor().redact(text)


@pytest.mark.parametrize("key", ["GL.canary-0f", "GL.abc", "gl.a1b2c3-d4"])
def test_a_glopal_key_is_known_by_its_shape(key: str) -> None:
    """What looks like a Glopal key is masked in the middle of any sentence."""
    assert f"the key {MASK} was refused" == Redactor().redact(f"the key {key} was refused")


@given(st.text(max_size=200))
def test_redacting_twice_changes_nothing_more(text: str) -> None:
    """Redaction is stable, so a text may pass several filters."""
    redactor = Redactor()
    redactor.add("secret-value-1")
    once = redactor.redact(text)
    assert once == redactor.redact(once)


def test_harmless_text_stays_as_it_is() -> None:
    """Nothing is replaced in what holds no secret."""
    text = "Glopal order (order 310678-936140), account demo: status 500, see glopal.md and key_env"
    assert text == Redactor().redact(text)


def test_a_secret_inside_another_leaves_no_tail() -> None:
    """Of two secrets, one being the start of the other, nothing of the longer one survives."""
    redactor = Redactor()
    redactor.add("abcdefgh")
    redactor.add("abcdefgh-tail")
    assert redactor.redact("abcdefgh-tail") == MASK


def test_a_short_secret_is_masked_alone_and_not_inside_words() -> None:
    """A short secret goes where it stands alone; a tiny one is no secret at all."""
    redactor = Redactor()
    redactor.add(SecretStr("order"))
    redactor.add("a")
    assert f"a {MASK}, orders" == redactor.redact("a order, orders")


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """A handler of our own on the root logger, and the loggers as they were before."""
    text = io.StringIO()
    handler = logging.StreamHandler(text)
    handler.setFormatter(logging.Formatter("%(name)s %(message)s"))
    handler.addFilter(RedactingFilter())
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield text
    root.removeHandler(handler)
    root.setLevel(level)


def test_log_arguments_and_tracebacks_are_redacted(stream: io.StringIO) -> None:
    """A secret in a message, its arguments, a traceback with its cause or a bad format never reaches a log."""
    register_secret("canary-secret-77")
    log = logging.getLogger("anything")
    log.warning("key %s", "canary-secret-77")
    log.warning("bad %d %s", "canary-secret-77")  # noqa: PLE1206 - the mistake is what is tested
    try:
        try:
            int("canary-secret-77")
        except ValueError as error:
            raise RuntimeError("outer") from error
    except RuntimeError:
        log.exception("failed")
    log.warning("stack", stack_info=True)
    assert "canary-secret-77" not in stream.getvalue()
    assert "ValueError: invalid literal for int() with base 10: '***'" in stream.getvalue()
    assert "bad %d %s" in stream.getvalue()


def test_a_clean_record_keeps_its_arguments(caplog: pytest.LogCaptureFixture) -> None:
    """A record without secrets is not changed, so structured handlers still see its arguments."""
    record = logging.LogRecord("x", logging.INFO, __file__, 1, "order %s", ("310678-936140",), None)
    assert RedactingFilter().filter(record)
    assert (record.msg, record.args) == ("order %s", ("310678-936140",))


def test_http_loggers_are_quiet_and_filtered_even_when_made_loud(caplog: pytest.LogCaptureFixture) -> None:
    """The HTTP loggers write nothing below WARNING, and when forced to, neither query, reason phrase nor headers."""
    names = ("httpx", "httpcore", "httpcore.http11", "httpcore.connection")
    caplog.set_level(logging.DEBUG)
    for name in names:
        caplog.set_level(logging.NOTSET, logger=name)
    install_log_redaction()
    assert all(not logging.getLogger(name).isEnabledFor(logging.INFO) for name in names)
    for name in names:
        caplog.set_level(logging.DEBUG, logger=name)
    logging.getLogger("httpx").info(
        'HTTP Request: %s %s "%s %d %s"', "GET", "https://h/p?merchantGUID=canary-guid", "HTTP/1.1", 200, "canary-buyer"
    )
    logging.getLogger("httpcore.http11").debug("receive_response_headers.complete return_value=(b'canary-buyer')")
    assert "canary" not in caplog.text
    assert "HTTP Request: GET https://h/p 200" in caplog.text
    assert "receive_response_headers.complete" in caplog.text


def test_installing_twice_adds_one_filter(stream: io.StringIO) -> None:
    """Installation is idempotent and reaches handlers that were added since."""
    bare = logging.StreamHandler(io.StringIO())
    logging.getLogger().addHandler(bare)
    try:
        for _ in range(3):
            install_log_redaction()
        targets: list[logging.Filterer] = [bare, logging.getLogger("httpx"), *logging.getLogger().handlers]
        assert {1} == {sum(isinstance(f, RedactingFilter) for f in target.filters) for target in targets}
    finally:
        logging.getLogger().removeHandler(bare)


def test_the_process_wide_set_is_used_by_redact() -> None:
    """A value registered once is masked by every later call."""
    register_secret(SecretStr("process-wide-canary"))
    assert redact("process-wide-canary") == MASK
