import pytest

from ordertrack.errors import Conflict, ValidationError
from ordertrack.services.accounts import AccountService

METHOD = "pbkdf2:sha256:1"


def test_login_page(client):
    reply = client.get("/auth/login")
    assert reply.status_code == 200
    assert b"Log in" in reply.data


def test_login(client):
    form = {"email": "staff@example.org", "password": "staff-pass"}
    reply = client.post("/auth/login", data=form)
    assert reply.status_code == 302
    assert reply.headers["Location"] == "/"
    with client.session_transaction() as session:
        assert session["user_id"] == 2
        assert session["role"] == "staff"


@pytest.mark.parametrize(
    ("email", "password"), [("staff@example.org", "wrong"), ("nobody@example.org", "x"), ("", "")]
)
def test_login_refused(client, email, password):
    reply = client.post("/auth/login", data={"email": email, "password": password})
    assert reply.status_code == 401
    assert "Wrong e-mail address or password." in reply.text
    with client.session_transaction() as session:
        assert "user_id" not in session


@pytest.mark.parametrize(
    ("target", "location"),
    [("/customers", "/customers"), ("//evil.test", "/"), ("http://evil.test", "/")],
)
def test_login_goes_on_to(client, target, location):
    reply = client.post(
        "/auth/login",
        query_string={"next": target},
        data={"email": "admin@example.org", "password": "admin-pass"},
    )
    assert reply.headers["Location"] == location


def test_greeting_is_shown_once(staff):
    assert "Hello Staff." in staff.get("/").text
    assert "Hello Staff." not in staff.get("/").text


def test_logout(staff):
    assert staff.get("/api/me").get_json()["email"] == "staff@example.org"
    staff.post("/auth/logout")
    assert staff.get("/api/me").status_code == 401


def test_session_of_a_deleted_user(client):
    with client.session_transaction() as session:
        session["user_id"] = 4711
    assert client.get("/api/me").status_code == 401


def test_pages_send_strangers_to_the_login(client):
    reply = client.get("/orders")
    assert reply.status_code == 302
    assert reply.headers["Location"] == "/auth/login?next=/orders"


def test_stranger_is_told_why(client):
    page = client.get("/customers", follow_redirects=True)
    assert page.status_code == 200
    assert "Please log in." in page.text


def test_authenticate(session):
    accounts = AccountService(session, METHOD)
    assert accounts.authenticate("ADMIN@example.org", "admin-pass").is_admin
    assert accounts.authenticate("admin@example.org", "staff-pass") is None


def test_create_user(session):
    accounts = AccountService(session, METHOD)
    user = accounts.create("New@example.org", "New", "secret-pass")
    assert (user.email, user.role) == ("new@example.org", "staff")
    assert accounts.authenticate("new@example.org", "secret-pass") is user


def test_create_user_twice(session):
    with pytest.raises(Conflict):
        AccountService(session, METHOD).create("staff@example.org", "Staff", "secret-pass")


@pytest.mark.parametrize(
    ("email", "password", "field"),
    [("no address", "secret-pass", "email"), ("a@example.org", "short", "password")],
)
def test_create_user_refuses(session, email, password, field):
    with pytest.raises(ValidationError) as caught:
        AccountService(session, METHOD).create(email, "Name", password)
    assert caught.value.field == field
