import csv
import hashlib
import io
import json
import os
import zipfile

import pytest

from ordertrack.errors import NotFound, ValidationError
from ordertrack.services.invoices import InvoiceService, month_range
from ordertrack.services.reports import ReportService


def test_overview(staff):
    data = staff.get("/api/reports/overview").get_json()
    assert data["orders"]["placed"] == 3
    assert data["revenue"][0] == {"customer": "Carl Gauss", "revenue_cents": 89900}


def test_overview_in_dollars(staff):
    data = staff.get("/api/reports/overview?currency=USD").get_json()
    assert data["revenue"][0]["revenue_cents"] == 98890


def test_overview_is_timed(staff, caplog):
    with caplog.at_level("INFO", logger="ordertrack.timing"):
        staff.get("/api/reports/overview")
    assert "overview report took" in caplog.text


def test_csv_export(staff):
    reply = staff.get("/api/reports/orders.csv")
    assert reply.mimetype == "text/csv"
    rows = list(csv.DictReader(io.StringIO(reply.text)))
    assert len(rows) == 6
    assert rows[0] == {
        "number": "SO-00001",
        "date": "2024-03-03",
        "customer": "Ada Lovelace",
        "country": "DE",
        "status": "placed",
        "total_cents": "9600",
    }


@pytest.mark.parametrize("batch", [1, 4, 6])
def test_csv_export_in_batches(staff, batch):
    reply = staff.get(f"/api/reports/orders.csv?batch={batch}")
    assert len(reply.text.splitlines()) == 7


def test_csv_export_needs_login(client):
    assert client.get("/api/reports/orders.csv").status_code == 401


def test_export_lines(app, session):
    lines = list(ReportService(session, app.extensions["pricing"]).export_csv(batch_size=2))
    assert lines[0].startswith("number,date")
    assert len(lines) == 7


def test_invoices(app, staff):
    reply = staff.post("/api/reports/invoices/2024-03")
    assert reply.status_code == 201
    assert "SO-00005.txt" not in reply.get_json()["invoices"]
    assert len(reply.get_json()["invoices"]) == 5
    folder = os.path.join(app.config["DATA_DIR"], "invoices", "2024-03")
    with open(os.path.join(folder, "manifest.json"), encoding="utf-8") as file:
        assert json.load(file) == reply.get_json()


def test_invoice_text(staff):
    staff.post("/api/reports/invoices/2024-03")
    reply = staff.get("/api/reports/invoices/2024-03/SO-00001.txt")
    assert reply.mimetype == "text/plain"
    assert "To: Ada Lovelace" in reply.text
    assert reply.text.strip().endswith("Total EUR 96.00")


@pytest.mark.parametrize("path", ["2024-03", "2024-03/SO-00001.txt", "2024-03/archive"])
def test_invoices_not_written_yet(staff, path):
    assert staff.get(f"/api/reports/invoices/{path}").status_code == 404


def test_archive(staff):
    staff.post("/api/reports/invoices/2024-03")
    reply = staff.get("/api/reports/invoices/2024-03/archive")
    assert hashlib.sha256(reply.data).hexdigest() == reply.headers["X-Checksum"]
    with zipfile.ZipFile(io.BytesIO(reply.data)) as archive:
        assert "SO-00001.txt" in archive.namelist()


def test_invoices_of_an_empty_month(session, tmp_path):
    service = InvoiceService(session, str(tmp_path))
    assert service.write_month("2023-12") == {"month": "2023-12", "invoices": []}
    assert service.manifest("2023-12")["invoices"] == []
    with pytest.raises(NotFound):
        service.read("2023-12", "SO-00001")


@pytest.mark.parametrize(("month", "end"), [("2024-03", (2024, 4)), ("2023-12", (2024, 1))])
def test_month_range(month, end):
    last = month_range(month)[1]
    assert (last.year, last.month) == end


def test_month_range_refuses():
    with pytest.raises(ValidationError):
        month_range("march")


def test_bad_month(staff):
    assert staff.post("/api/reports/invoices/march").status_code == 400
