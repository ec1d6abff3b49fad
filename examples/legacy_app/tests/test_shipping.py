import io
import os

import pytest

from ordertrack.carriers import CARRIERS, Carrier, make_carrier
from ordertrack.clients.carriers import CarrierClient
from ordertrack.errors import NotFound, UpstreamError, UpstreamTimeout, ValidationError
from ordertrack.models import Order
from ordertrack.services.shipping import ShippingService, compare_rates


@pytest.fixture
def carriers(app):
    return app.extensions["carriers"]


@pytest.fixture
def shipped(staff):
    """A test client of staff who has shipped order 1 as shipment 1."""
    assert staff.post("/api/orders/1/ship").status_code == 201
    return staff


def test_ship(shipped):
    order = shipped.get("/api/orders/1").get_json()
    assert order["status"] == "shipped"
    assert order["shipments"][0]["tracking_number"].startswith("POST-")


def test_ship_twice(shipped):
    assert shipped.post("/api/orders/1/ship").status_code == 409


def test_ship_needs_login(client):
    assert client.post("/api/orders/1/ship").status_code == 401


def test_courier_is_called_for_a_pickup(staff, control):
    assert staff.post("/api/orders/3/ship").status_code == 201
    paths = [call["path"] for call in control.seen()["recent"]]
    assert paths == [
        "/carriers/courier/health",
        "/carriers/courier/shipments",
        "/carriers/courier/pickups",
    ]


def test_freight_asks_for_the_rate_first(staff, control):
    assert staff.post("/api/orders/4/ship").status_code == 201
    paths = [call["path"] for call in control.seen()["recent"]]
    assert paths == [
        "/carriers/freight/health",
        "/carriers/freight/rates",
        "/carriers/freight/shipments",
    ]


def test_ship_while_the_carrier_is_down(staff, control):
    control.fault("carriers", status=500, path="health")
    reply = staff.post("/api/orders/1/ship")
    assert reply.status_code == 502
    assert staff.get("/api/orders/1").get_json()["status"] == "placed"


def test_a_failed_booking_changes_nothing(staff, control):
    control.fault("carriers", status=500, path="shipments")
    assert staff.post("/api/orders/1/ship").status_code == 502
    order = staff.get("/api/orders/1").get_json()
    assert (order["status"], order["shipments"]) == ("placed", [])


def test_shipment(shipped):
    data = shipped.get("/api/shipments/1").get_json()
    assert data["carrier"] == "post"
    assert data["country"] == "DE"


def test_unknown_shipment(client):
    assert client.get("/api/shipments/5").status_code == 404


def test_tracking_collects_all_pages(shipped, control):
    events = shipped.get("/api/shipments/1/tracking").get_json()["events"]
    assert len(events) == 5
    assert events[-1] == "delivered"
    pages = [call["query"].get("page") for call in control.seen()["recent"][-3:]]
    assert pages == ["1", "2", "3"]


def test_label_is_fetched_once(shipped, control):
    first = shipped.get("/shipments/1/label")
    assert first.mimetype == "application/pdf"
    assert first.data.startswith(b"%PDF-1.4")
    assert len(first.data) > 65_000
    again = shipped.get("/shipments/1/label")
    assert again.data == first.data
    paths = [call["path"] for call in control.seen()["recent"]]
    assert len([path for path in paths if "/labels/" in path]) == 1


def test_label_that_fails_leaves_no_file(carriers, control, tmp_path):
    control.fault("carriers", status=500, path="labels")
    path = str(tmp_path / "label.pdf")
    with pytest.raises(UpstreamError):
        carriers.download_label("post", "POST-1", path)
    assert not os.path.exists(path)


def test_proof_of_delivery(app, shipped):
    photo = (io.BytesIO(b"\xff\xd8 a photo \xff\xd9"), "door.jpg")
    reply = shipped.post("/api/shipments/1/proof", data={"photo": photo})
    assert reply.status_code == 201
    assert reply.get_json()["proof_reference"].startswith("POD-POST-")
    path = os.path.join(app.config["DATA_DIR"], "proofs", "shipment-1.jpg")
    with open(path, "rb") as file:
        assert file.read() == b"\xff\xd8 a photo \xff\xd9"


def test_proof_without_a_photo(shipped):
    reply = shipped.post("/api/shipments/1/proof", data={"comment": "none"})
    assert reply.status_code == 400


def test_rates_of_an_order(client):
    rates = client.get("/api/orders/1/rates").get_json()["rates"]
    assert [rate["carrier"] for rate in rates] == ["post", "courier", "freight"]
    assert rates[0]["price_cents"] == 450 + 310


def test_rates_leave_out_a_carrier_that_fails(carriers, control):
    control.fault("carriers", status=500, path="courier", count=-1)
    rates = compare_rates(carriers, 1000, "FR")
    assert [rate["carrier"] for rate in rates] == ["post", "freight"]


@pytest.mark.parametrize(("code", "days"), [("post", 3), ("courier", 1), ("freight", 6)])
def test_rate(carriers, code, days):
    assert carriers.rate(code, 100, "DE")["days"] == days


def test_rate_of_an_unknown_carrier(carriers):
    with pytest.raises(NotFound):
        carriers.rate("pigeon", 100, "DE")


def test_wrong_token(upstreams):
    client = CarrierClient(f"{upstreams}/carriers", "wrong")
    with pytest.raises(UpstreamError, match="401"):
        client.rate("post", 100, "DE")
    client.close()


def test_timeout(carriers, control):
    carriers.timeout = 0.05
    control.fault("carriers", delay_ms=400)
    with pytest.raises(UpstreamTimeout):
        carriers.register("post", "SO-1", 100, "DE")


def test_nobody_listens(app):
    client = CarrierClient("http://127.0.0.1:9", "token", retries=0)
    with pytest.raises(UpstreamError, match="cannot connect"):
        client.rate("post", 100, "DE")
    client.close()


def test_health(carriers, control):
    assert carriers.is_up("post")
    control.fault("carriers", drop=True, count=-1)
    assert not carriers.is_up("post")


@pytest.mark.parametrize("code", ["post", "courier", "freight"])
def test_available(carriers, code):
    carrier = make_carrier(code, carriers)
    assert isinstance(carrier, Carrier)
    assert carrier.is_available


@pytest.mark.parametrize("code", sorted(CARRIERS))
def test_too_heavy(carriers, code):
    carrier = make_carrier(code, carriers)
    with pytest.raises(ValidationError):
        carrier.book("SO-1", 1_000_000, "DE")


def test_freight_limit(carriers):
    with pytest.raises(ValidationError, match="agreed limit"):
        make_carrier("freight", carriers).book("SO-1", 490_000, "DE")


def test_unknown_carrier(carriers):
    with pytest.raises(ValidationError):
        make_carrier("pigeon", carriers)


def test_patched_client(app, session, monkeypatch):
    def rate(self, carrier, weight_grams, country):
        return {"carrier": carrier, "price_cents": weight_grams, "days": 2}

    monkeypatch.setattr("ordertrack.clients.carriers.CarrierClient.rate", rate)
    service = ShippingService(session, app.extensions["carriers"], app.config["DATA_DIR"])
    assert [rate["price_cents"] for rate in service.rates(1)] == [3100, 3100, 3100]


def test_refresh_marks_as_delivered(app, shipped, session):
    service = ShippingService(session, app.extensions["carriers"], app.config["DATA_DIR"])
    order = session.get(Order, 1)
    service.refresh(order)
    assert order.status == "delivered"
    assert order.shipments[0].status == "delivered"
    session.rollback()
    assert session.get(Order, 1).status == "shipped"
