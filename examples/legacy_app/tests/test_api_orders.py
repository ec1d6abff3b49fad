import pytest


def test_health(client):
    assert client.get("/api/health").get_json() == {"status": "ok"}


def test_list_is_newest_first(client):
    data = client.get("/api/orders").get_json()
    assert data["total"] == 6
    assert [order["id"] for order in data["orders"]] == [6, 5, 4, 3, 2, 1]


@pytest.mark.parametrize(
    ("status", "count"), [("placed", 3), ("delivered", 1), ("cancelled", 1), ("shipped", 0)]
)
def test_list_by_status(client, status, count):
    data = client.get(f"/api/orders?status={status}").get_json()
    assert data["total"] == count
    assert len(data["orders"]) == count


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("gauss", ["SO-00005", "SO-00004"]), ("SO-00003", ["SO-00003"]), ("nobody", [])],
)
def test_list_by_text(client, text, numbers):
    data = client.get("/api/orders", query_string={"q": text}).get_json()
    assert [order["number"] for order in data["orders"]] == numbers


def test_list_in_pages(client):
    first = client.get("/api/orders?size=4").get_json()
    second = client.get("/api/orders?size=4&page=2").get_json()
    assert (first["pages"], second["pages"]) == (2, 2)
    assert len(first["orders"]) == 4
    assert [order["id"] for order in second["orders"]] == [2, 1]


@pytest.mark.parametrize("query", ["page=0", "size=0", "size=101", "page=x", "status=lost"])
def test_list_with_bad_arguments(client, query):
    reply = client.get(f"/api/orders?{query}")
    assert reply.status_code == 400
    assert reply.get_json()["error"] == "invalid"


def test_detail(client):
    data = client.get("/api/orders/1").get_json()
    assert data["customer"]["name"] == "Ada Lovelace"
    assert data["lines"] == [
        {"sku": "MUG-BLUE", "quantity": 2, "unit_price_cents": 1200},
        {"sku": "PLATE-L", "quantity": 4, "unit_price_cents": 1800},
    ]
    assert data["total_cents"] == 9600
    assert data["created_at"] == "2024-03-03T10:30:00"


def test_detail_of_unknown_order(client):
    reply = client.get("/api/orders/77")
    assert reply.status_code == 404
    assert reply.get_json() == {"error": "not_found", "message": "no order 77"}


def test_create(staff):
    body = {"customer_id": 2, "lines": [{"sku": "MUG-RED", "quantity": 3}], "carrier": "courier"}
    reply = staff.post("/api/orders", json=body)
    assert reply.status_code == 201
    order = reply.get_json()
    assert order["number"] == "SO-00007"
    assert reply.headers["Location"].endswith(f"/api/orders/{order['id']}")
    assert staff.get(f"/api/orders/{order['id']}").get_json()["total_cents"] == 3750


def test_create_sends_a_mail(app, staff):
    staff.post("/api/orders", json={"customer_id": 1, "lines": [{"sku": "MUG-RED"}]})
    app.extensions["notifier"].wait()
    assert app.extensions["notifier"].sent() == [
        {"to": "ada@example.org", "subject": "Your order SO-00007", "order": "SO-00007"}
    ]
    events = staff.get("/api/orders/7/history").get_json()["events"]
    assert [event["kind"] for event in events] == ["placed", "mail"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"lines": [{"sku": "MUG-RED"}]}, "customer_id"),
        ({"customer_id": 99, "lines": [{"sku": "MUG-RED"}]}, "customer_id"),
        ({"customer_id": 1, "lines": []}, "lines"),
        ({"customer_id": 1, "lines": [{"sku": "NOTHING"}]}, "sku"),
        ({"customer_id": 1, "lines": [{"sku": "MUG-RED", "quantity": 0}]}, "quantity"),
        ({"customer_id": 1, "lines": [{"sku": "MUG-RED"}], "carrier": "pigeon"}, "carrier"),
    ],
)
def test_create_refuses(staff, body, field):
    reply = staff.post("/api/orders", json=body)
    assert reply.status_code == 400
    assert reply.get_json()["field"] == field
    assert staff.get("/api/orders").get_json()["total"] == 6


def test_create_needs_json(staff):
    reply = staff.post("/api/orders", data="not json")
    assert reply.status_code == 400
    assert reply.get_json()["message"] == "a JSON object is expected"


def test_create_needs_login(client):
    reply = client.post("/api/orders", json={"customer_id": 1})
    assert reply.status_code == 401
    assert reply.get_json()["error"] == "login_required"


def test_cancel(app, staff):
    reply = staff.post("/api/orders/1/cancel", json={"reason": "changed my mind"})
    assert reply.get_json()["status"] == "cancelled"
    app.extensions["notifier"].wait()
    events = staff.get("/api/orders/1/history").get_json()["events"]
    assert [event["kind"] for event in events] == ["placed", "cancelled", "mail"]
    assert events[1]["message"] == "changed my mind"


def test_cancel_without_a_body(staff):
    assert staff.post("/api/orders/3/cancel").get_json()["status"] == "cancelled"


@pytest.mark.parametrize("order_id", [2, 5])
def test_cancel_too_late(staff, order_id):
    reply = staff.post(f"/api/orders/{order_id}/cancel")
    assert reply.status_code == 409
    assert reply.get_json()["error"] == "conflict"


def test_request_id_is_kept(client):
    reply = client.get("/api/health", headers={"X-Request-ID": "abc"})
    assert reply.headers["X-Request-ID"] == "abc"
    assert reply.headers["Server-Timing"].startswith("app;dur=")


def test_request_id_is_made(client):
    assert len(client.get("/api/health").headers["X-Request-ID"]) == 12


def test_unknown_path_is_json_on_the_api(client):
    reply = client.get("/api/nothing")
    assert reply.status_code == 404
    assert reply.get_json()["error"] == "not_found"


def test_wrong_method_is_json_on_the_api(client):
    reply = client.put("/api/orders")
    assert reply.status_code == 405
    assert reply.get_json()["error"] == "method_not_allowed"
