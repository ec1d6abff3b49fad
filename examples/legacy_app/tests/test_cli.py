from ordertrack import create_app
from ordertrack.database import Database, get_session
from ordertrack.repositories import CustomerRepository, OrderRepository


def test_init_and_seed(settings, tmp_path):
    settings["DATABASE_URL"] = f"sqlite:///{tmp_path}/new.db"
    app = create_app(settings)
    runner = app.test_cli_runner()
    assert runner.invoke(args=["init-db"]).output == "tables created\n"
    assert runner.invoke(args=["seed"]).output == "sample data written\n"
    with app.app_context():
        session = app.extensions["database"].session()
        assert len(CustomerRepository(session).all()) == 4
        session.close()


def test_seed_twice(runner):
    assert runner.invoke(args=["seed"]).output == "there is data already\n"


def test_init_drops(runner):
    assert runner.invoke(args=["init-db", "--drop"]).exit_code == 0
    assert runner.invoke(args=["seed"]).output == "sample data written\n"


def test_nightly(runner):
    result = runner.invoke(args=["nightly"])
    assert result.exit_code == 0
    assert result.output == "4 of 4 customers summarised\n"


def test_export_orders(runner, tmp_path):
    path = tmp_path / "orders.csv"
    result = runner.invoke(args=["export-orders", str(path)])
    assert result.output == "6 orders written\n"
    assert path.read_text(encoding="utf-8").count("\n") == 7


def test_database_in_memory():
    database = Database("sqlite://")
    database.create_all()
    session = database.session()
    assert OrderRepository(session).count_by_status() == {}
    assert OrderRepository(session).next_number() == "SO-00001"
    session.close()
    database.drop_all()
    database.dispose()


def test_unfinished_work_is_rolled_back(app, client):
    with app.app_context():
        session = get_session()
        CustomerRepository(session).get(1).name = "Somebody else"
        session.flush()
    assert client.get("/api/customers/1").get_json()["name"] == "Ada Lovelace"
