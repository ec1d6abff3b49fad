import pytest


def test_dashboard(staff):
    page = staff.get("/").text
    assert "placed</a>: 3" in page
    assert "Admin" not in page


def test_orders_page(staff):
    reply = staff.get("/orders")
    assert reply.headers["Cache-Control"] == "no-store"
    assert "Orders (6)" in reply.text
    assert "Dorothy Vaughan" in reply.text


def test_orders_page_filtered(staff):
    page = staff.get("/orders?status=cancelled").text
    assert "SO-00005" in page
    assert "SO-00001" not in page


def test_orders_page_empty(staff):
    assert "No orders." in staff.get("/orders?q=nobody").text


def test_order_page(staff):
    page = staff.get("/orders/1").text
    assert "Ada Lovelace" in page
    assert "2 x MUG-BLUE" in page
    assert "72.00 EUR" in page
    assert "Not shipped yet." in page


def test_order_page_with_shipment(staff):
    staff.post("/api/orders/3/ship")
    assert "COURIER-" in staff.get("/orders/3").text


def test_order_page_unknown(staff):
    reply = staff.get("/orders/99")
    assert reply.status_code == 404
    assert "<h1>Error 404</h1>" in reply.text


def test_unknown_page(client):
    reply = client.get("/nothing")
    assert reply.status_code == 404
    assert "<h1>Error 404</h1>" in reply.text


def test_order_form(staff):
    page = staff.get("/orders/new").text
    assert "Blaise Pascal" in page
    assert "Sofa for three (899.00 EUR)" in page


def test_order_form_sent(app, staff):
    form = {
        "customer_id": "4",
        "sku": ["MUG-BLUE", "MUG-RED", "SOFA-3"],
        "quantity": ["2", "", "1"],
        "carrier": "freight",
    }
    page = staff.post("/orders/new", data=form, follow_redirects=True)
    assert "SO-00007 taken." in page.text
    assert "2 x MUG-BLUE" in page.text
    assert "MUG-RED" not in page.text
    app.extensions["notifier"].wait()
    assert app.extensions["notifier"].sent()[0]["to"] == "dorothy@example.org"


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({"customer_id": "1"}, "an order needs at least one line"),
        ({"customer_id": "9", "sku": "MUG-RED", "quantity": "1"}, "no customer 9"),
    ],
)
def test_order_form_refused(staff, form, message):
    page = staff.post("/orders/new", data=form)
    assert page.status_code == 200
    assert message in page.text


def test_customers_page(staff):
    page = staff.get("/customers").text
    assert "Carl Gauss" in page
    assert "2 order(s)" in page


def test_customer_page(staff):
    page = staff.get("/customers/1").text
    assert "SO-00001: 96.00 EUR" in page


def test_customer_page_unknown(staff):
    assert staff.get("/customers/99").status_code == 404


def test_catalog_page(staff):
    page = staff.get("/catalog").text
    assert page.index("Home") < page.index("Kitchen") < page.index("Mugs")


@pytest.mark.parametrize(("category_id", "text"), [(5, "MUG-BLUE Blue mug"), (3, "Nothing here.")])
def test_category_page(staff, category_id, text):
    assert text in staff.get(f"/catalog/{category_id}").text


def test_unknown_category(staff):
    assert staff.get("/catalog/99").status_code == 404
