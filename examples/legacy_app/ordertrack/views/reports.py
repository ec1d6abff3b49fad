"""Reports and exports, as JSON and CSV."""

from flask import Blueprint, Response, current_app, jsonify, request, send_file, stream_with_context

from ordertrack.clients import get_pricing
from ordertrack.database import get_session
from ordertrack.security import login_required
from ordertrack.services.invoices import InvoiceService
from ordertrack.services.reports import ReportService
from ordertrack.views.forms import int_arg

bp = Blueprint("reports", __name__)


def report_service() -> ReportService:
    return ReportService(get_session(), get_pricing())


def invoice_service() -> InvoiceService:
    return InvoiceService(get_session(), current_app.config["DATA_DIR"])


@bp.get("/overview")
@login_required
def overview():
    return jsonify(report_service().overview(request.args.get("currency", "EUR")))


@bp.get("/orders.csv")
@login_required
def orders_csv():
    lines = report_service().export_csv(int_arg("batch", 50))
    headers = {"Content-Disposition": "attachment; filename=orders.csv"}
    return Response(stream_with_context(lines), mimetype="text/csv", headers=headers)


@bp.post("/invoices/<month>")
@login_required
def write_invoices(month):
    return jsonify(invoice_service().write_month(month)), 201


@bp.get("/invoices/<month>")
@login_required
def list_invoices(month):
    return jsonify(invoice_service().manifest(month))


@bp.get("/invoices/<month>/<number>.txt")
@login_required
def read_invoice(month, number):
    return Response(invoice_service().read(month, number), mimetype="text/plain")


@bp.get("/invoices/<month>/archive")
@login_required
def archive(month):
    packed = invoice_service().pack(month)
    reply = send_file(packed["path"], as_attachment=True)
    reply.headers["X-Checksum"] = packed["sha256"]
    return reply
