"""The pages of the back office."""

from flask import (
    Blueprint,
    current_app,
    flash,
    make_response,
    redirect,
    render_template,
    request,
    send_file,
    url_for,
)

from ordertrack.clients import get_carriers, get_pricing
from ordertrack.database import get_session
from ordertrack.errors import NotFound, OrderTrackError
from ordertrack.repositories import CatalogRepository, CustomerRepository, OrderRepository
from ordertrack.security import login_required
from ordertrack.services.catalog import CatalogService
from ordertrack.services.orders import OrderService
from ordertrack.services.shipping import ShippingService
from ordertrack.views.forms import form_lines, int_arg

bp = Blueprint("web", __name__)


@bp.get("/")
@login_required
def dashboard():
    counts = OrderRepository(get_session()).count_by_status()
    return render_template("dashboard.html", counts=counts)


@bp.get("/orders")
@login_required
def orders():
    page = OrderService(get_session()).page(
        number=int_arg("page", 1),
        size=10,
        status=request.args.get("status") or None,
        text=request.args.get("q") or None,
    )
    reply = make_response(render_template("orders.html", **page))
    reply.headers["Cache-Control"] = "no-store"
    return reply


@bp.get("/orders/<int:order_id>")
@login_required
def order_detail(order_id):
    order = OrderService(get_session()).get(order_id)
    return render_template("order_detail.html", order=order)


@bp.route("/orders/new", methods=["GET", "POST"])
@login_required
def new_order():
    session = get_session()
    if request.method == "POST":
        try:
            order = OrderService(session).create(
                int(request.form.get("customer_id", "0")),
                form_lines(),
                request.form.get("carrier", "post"),
            )
        except OrderTrackError as error:
            flash(error.message, "error")
        else:
            notifier = current_app.extensions["notifier"]
            notifier.notify_later(order.id, f"Your order {order.number}")
            flash(f"{order.number} taken.", "info")
            return redirect(url_for("web.order_detail", order_id=order.id))
    customers = CustomerRepository(session).all()
    products = CatalogRepository(session).products()
    return render_template("order_form.html", customers=customers, products=products)


@bp.get("/shipments/<int:shipment_id>/label")
@login_required
def label(shipment_id):
    service = ShippingService(get_session(), get_carriers(), current_app.config["DATA_DIR"])
    path = service.label(shipment_id)
    return send_file(path, mimetype="application/pdf")


@bp.get("/customers")
@login_required
def customers():
    found = CustomerRepository(get_session()).all()
    return render_template("customers.html", customers=found)


@bp.get("/customers/<int:customer_id>")
@login_required
def customer_detail(customer_id):
    customer = CustomerRepository(get_session()).get(customer_id)
    if customer is None:
        raise NotFound(f"no customer {customer_id}")
    return render_template("customer_detail.html", customer=customer)


@bp.get("/catalog")
@login_required
def catalog():
    tree = CatalogService(get_session(), get_pricing()).tree()
    return render_template("catalog.html", tree=tree)


@bp.get("/catalog/<int:category_id>")
@login_required
def category(category_id):
    found = CatalogService(get_session(), get_pricing()).category(category_id)
    return render_template("category.html", category=found)
