from unittest import mock

import pytest
import requests

from ordertrack.clients import get_summary
from ordertrack.clients.summary import SummaryClient
from ordertrack.decorators import retry
from ordertrack.errors import RateLimited, UpstreamError, UpstreamTimeout
from ordertrack.jobs.nightly import describe_customer, run_nightly, summarise_all
from ordertrack.models import Customer
from ordertrack.ratelimit import RateLimiter


def test_describe_customer(session):
    text = describe_customer(session.get(Customer, 1))
    assert text == (
        "Ada Lovelace of DE has 2 orders. SO-00001 is placed: MUG-BLUE, PLATE-L. "
        "SO-00002 is delivered: LAMP-DESK. Prefers mornings."
    )


def test_nightly_run(app, session):
    result = run_nightly(
        session,
        app.extensions["carriers"],
        get_summary(),
        RateLimiter(0),
        app.config["DATA_DIR"],
    )
    assert result == {"refreshed": 0, "failed": {}, "customers": 4, "summarised": 4}
    session.expire_all()
    customer = session.get(Customer, 2)
    assert customer.summary.startswith("Blaise Pascal")
    assert customer.summarised_at is not None


def test_a_failure_is_skipped(session, control):
    client = get_summary()
    control.fault("summary", status=500)
    assert summarise_all(session, client, RateLimiter(0)) == {"customers": 4, "summarised": 3}


def test_a_refusal_is_waited_out(session, control):
    client = get_summary()
    control.fault("summary", status=429)
    with mock.patch("ordertrack.jobs.nightly.time.sleep") as sleep:
        result = summarise_all(session, client, RateLimiter(0))
    assert result["summarised"] == 4
    sleep.assert_called_once_with(1.0)


def test_summarise(app):
    with app.app_context():
        assert get_summary().summarise("one two three", max_words=2) == "one two"


def test_client_is_made_once(app, control):
    with app.app_context():
        assert get_summary() is get_summary()
    assert control.seen()["counts"]["summary"] == 1


def test_refused_key(upstreams):
    with pytest.raises(UpstreamError, match="API key"):
        SummaryClient(f"{upstreams}/summary", "wrong")


def test_limit_of_the_service(session, control):
    client = get_summary()
    control.set(summary_per_minute=1)
    assert client.summarise("a") == "a"
    with pytest.raises(RateLimited) as caught:
        client.summarise("b")
    assert 0 < caught.value.retry_after <= 61


def test_timeout_is_tried_again(session, monkeypatch):
    client = get_summary()
    calls = []

    def post(url, **kwargs):
        calls.append(url)
        raise requests.Timeout("slow")

    monkeypatch.setattr("ordertrack.clients.summary.requests.post", post)
    with pytest.raises(UpstreamTimeout):
        client.summarise("text")
    assert len(calls) == 2


def test_retry_gives_up():
    calls = []

    @retry(on=KeyError, times=3)
    def fail():
        calls.append(1)
        raise KeyError("x")

    with pytest.raises(KeyError):
        fail()
    assert len(calls) == 3


def test_retry_succeeds():
    calls = []

    @retry(on=KeyError, times=3)
    def work():
        calls.append(1)
        if len(calls) < 3:
            raise KeyError("x")
        return "done"

    assert work() == "done"
    assert work.__name__ == "work"


def test_limiter_off():
    limiter = RateLimiter(0)
    limiter.wait()
    assert limiter.delay() == 0.0


def test_limiter_counts():
    limiter = RateLimiter(2)
    limiter.wait()
    assert limiter.delay() == 0.0
    limiter.wait()
    assert 59.0 < limiter.delay() <= 60.0


def test_limiter_sleeps():
    limiter = RateLimiter(1)
    limiter.wait()
    with mock.patch("ordertrack.ratelimit.time.sleep") as sleep:
        limiter.wait()
    assert 59.0 < sleep.call_args.args[0] <= 60.0


def test_limiter_forgets():
    limiter = RateLimiter(1, window=0.0)
    limiter.wait()
    assert limiter.delay() == 0.0
