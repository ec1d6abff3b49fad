def test_index(admin):
    page = admin.get("/admin/").text
    assert "staff@example.org (staff)" in page


def test_staff_may_not(staff):
    reply = staff.get("/admin/")
    assert reply.status_code == 403
    assert "needs the role admin" in reply.text


def test_strangers_log_in_first(client):
    assert client.get("/admin/").headers["Location"] == "/auth/login?next=/admin/"


def test_index_shows_the_outbox(app, admin):
    admin.post("/api/orders/1/cancel")
    app.extensions["notifier"].wait()
    assert "ada@example.org: SO-00001 is cancelled" in admin.get("/admin/").text


def test_new_user(admin, client):
    form = {"email": "eve@example.org", "name": "Eve", "password": "eve-pass", "role": "staff"}
    page = admin.post("/admin/users/new", data=form, follow_redirects=True)
    assert "Eve may log in now." in page.text
    admin.post("/auth/logout")
    reply = client.post("/auth/login", data={"email": "eve@example.org", "password": "eve-pass"})
    assert reply.status_code == 302


def test_new_user_refused(admin):
    form = {"email": "eve@example.org", "name": "Eve", "password": "x"}
    reply = admin.post("/admin/users/new", data=form)
    assert reply.status_code == 400
    assert "password too short" in reply.text


def test_new_user_form(admin):
    assert admin.get("/admin/users/new").status_code == 200


def test_tracking_refresh(admin):
    admin.post("/api/orders/1/ship")
    admin.post("/api/orders/3/ship")
    result = admin.post("/admin/tracking/refresh").get_json()
    assert result == {"refreshed": 2, "failed": {}}
    assert admin.get("/api/orders/3").get_json()["status"] == "delivered"


def test_tracking_refresh_with_a_failure(admin, control):
    admin.post("/api/orders/1/ship")
    admin.post("/api/orders/3/ship")
    control.fault("carriers", status=500, path="post/tracking")
    result = admin.post("/admin/tracking/refresh").get_json()
    assert result["refreshed"] == 1
    assert list(result["failed"]) == ["SO-00001"]
    assert admin.get("/api/orders/1").get_json()["status"] == "shipped"


def test_price_refresh(admin):
    assert admin.post("/admin/prices/refresh").get_json() == {"changed": 5}
    assert admin.post("/admin/prices/refresh").get_json() == {"changed": 0}


def test_summary_of_one_customer(admin):
    data = admin.post("/admin/customers/1/summary").get_json()
    assert data["done"] is True
    assert data["summary"].startswith("Ada Lovelace of DE has 2 orders.")
    assert data["summary"] in admin.get("/customers/1").text


def test_summary_of_unknown_customer(admin):
    assert admin.post("/admin/customers/99/summary").status_code == 404
