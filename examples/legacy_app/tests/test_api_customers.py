from ordertrack.models import Customer


def test_list(client):
    customers = client.get("/api/customers").get_json()["customers"]
    assert [customer["name"] for customer in customers] == [
        "Ada Lovelace",
        "Blaise Pascal",
        "Carl Gauss",
        "Dorothy Vaughan",
    ]


def test_search(client):
    found = client.get("/api/customers?q=pascal").get_json()["customers"]
    assert [customer["email"] for customer in found] == ["blaise@example.org"]


def test_detail_names_the_orders(client):
    data = client.get("/api/customers/1").get_json()
    assert data["orders"] == ["SO-00001", "SO-00002"]
    assert data["country"] == "DE"


def test_unknown(client):
    assert client.get("/api/customers/50").status_code == 404


def test_create(staff, session):
    reply = staff.post("/api/customers", json={"name": "Emmy Noether", "email": "Emmy@example.org"})
    assert reply.status_code == 201
    customer = session.get(Customer, reply.get_json()["id"])
    assert customer.email == "emmy@example.org"
    assert customer.orders == []


def test_create_twice(staff):
    body = {"name": "Ada", "email": "ADA@example.org"}
    assert staff.post("/api/customers", json=body).status_code == 409


def test_create_without_email(staff):
    reply = staff.post("/api/customers", json={"name": "Nobody"})
    assert reply.status_code == 400
    assert reply.get_json()["field"] == "email"


def test_delete(admin):
    created = admin.post("/api/customers", json={"name": "Emmy", "email": "emmy@example.org"})
    customer_id = created.get_json()["id"]
    assert admin.delete(f"/api/customers/{customer_id}").status_code == 204
    assert admin.get(f"/api/customers/{customer_id}").status_code == 404


def test_delete_with_orders(admin):
    assert admin.delete("/api/customers/1").status_code == 409


def test_delete_is_for_admins(staff):
    reply = staff.delete("/api/customers/1")
    assert reply.status_code == 403
    assert reply.get_json()["error"] == "forbidden"
