"""The JSON API."""

from flask import Blueprint, current_app, g, jsonify, request, url_for

from ordertrack.clients import get_carriers, get_pricing
from ordertrack.database import get_session
from ordertrack.errors import Conflict, NotFound, ValidationError
from ordertrack.models import Customer
from ordertrack.repositories import CatalogRepository, CustomerRepository
from ordertrack.security import login_required, role_required
from ordertrack.services.catalog import CatalogService
from ordertrack.services.orders import OrderService
from ordertrack.services.quotes import QuoteService
from ordertrack.services.shipping import ShippingService
from ordertrack.views.forms import int_arg, json_body, required

bp = Blueprint("api", __name__)


def shipping_service() -> ShippingService:
    return ShippingService(get_session(), get_carriers(), current_app.config["DATA_DIR"])


def catalog_service() -> CatalogService:
    return CatalogService(get_session(), get_pricing())


@bp.get("/health")
def health():
    return jsonify({"status": "ok"})


@bp.get("/me")
@login_required
def me():
    return jsonify({"id": g.user.id, "email": g.user.email, "role": g.user.role})


@bp.get("/orders")
def list_orders():
    page = OrderService(get_session()).page(
        number=int_arg("page", 1),
        size=int_arg("size", 20),
        status=request.args.get("status"),
        text=request.args.get("q"),
    )
    page["orders"] = [order.to_dict() for order in page["orders"]]
    return jsonify(page)


@bp.post("/orders")
@login_required
def create_order():
    data = json_body()
    order = OrderService(get_session()).create(
        required(data, "customer_id"), data.get("lines", []), data.get("carrier", "post")
    )
    current_app.extensions["notifier"].notify_later(order.id, f"Your order {order.number}")
    reply = jsonify(order.to_dict())
    reply.status_code = 201
    reply.headers["Location"] = url_for("api.get_order", order_id=order.id)
    return reply


@bp.get("/orders/<int:order_id>")
def get_order(order_id):
    return jsonify(OrderService(get_session()).detail(order_id))


@bp.get("/orders/<int:order_id>/quote")
def order_quote(order_id):
    service = QuoteService(get_session(), get_pricing(), get_carriers())
    return jsonify(service.quote_order(order_id))


@bp.get("/orders/<int:order_id>/history")
def order_history(order_id):
    return jsonify(events=OrderService(get_session()).history(order_id))


@bp.post("/orders/<int:order_id>/cancel")
@login_required
def cancel_order(order_id):
    reason = (request.get_json(silent=True) or {}).get("reason", "")
    order = OrderService(get_session()).cancel(order_id, reason)
    current_app.extensions["notifier"].notify_later(order.id, f"{order.number} is cancelled")
    return jsonify(order.to_dict())


@bp.get("/orders/<int:order_id>/rates")
def order_rates(order_id):
    return jsonify(rates=shipping_service().rates(order_id))


@bp.post("/orders/<int:order_id>/ship")
@login_required
def ship_order(order_id):
    shipment = shipping_service().ship(order_id)
    return jsonify(shipment.to_dict()), 201


@bp.get("/shipments/<int:shipment_id>")
def get_shipment(shipment_id):
    shipment = shipping_service().shipment(shipment_id)
    data = shipment.to_dict()
    data["country"] = shipment.order.customer.country
    return jsonify(data)


@bp.get("/shipments/<int:shipment_id>/tracking")
def track_shipment(shipment_id):
    return jsonify(shipping_service().track(shipment_id))


@bp.post("/shipments/<int:shipment_id>/proof")
@login_required
def upload_proof(shipment_id):
    photo = request.files.get("photo")
    if photo is None or not photo.filename:
        raise ValidationError("photo is missing", "photo")
    service = shipping_service()
    path = service.proof_path(shipment_id)
    photo.save(path)
    return jsonify(service.send_proof(shipment_id, path).to_dict()), 201


@bp.get("/customers")
def list_customers():
    customers = CustomerRepository(get_session())
    text = request.args.get("q")
    found = customers.search(text) if text else customers.all()
    return jsonify(customers=[customer.to_dict() for customer in found])


@bp.get("/customers/<int:customer_id>")
def get_customer(customer_id):
    customer = CustomerRepository(get_session()).get(customer_id)
    if customer is None:
        raise NotFound(f"no customer {customer_id}")
    data = customer.to_dict()
    data["orders"] = [order.number for order in customer.orders]
    return jsonify(data)


@bp.post("/customers")
@login_required
def create_customer():
    data = json_body()
    session = get_session()
    customers = CustomerRepository(session)
    email = required(data, "email").lower()
    if customers.by_email(email) is not None:
        raise Conflict(f"{email} is known")
    customer = Customer(name=required(data, "name"), email=email, country=data.get("country", "DE"))
    customers.add(customer)
    session.commit()
    return jsonify(customer.to_dict()), 201


@bp.delete("/customers/<int:customer_id>")
@role_required("admin")
def delete_customer(customer_id):
    session = get_session()
    customers = CustomerRepository(session)
    customer = customers.get(customer_id)
    if customer is None:
        raise NotFound(f"no customer {customer_id}")
    if customers.has_orders(customer):
        raise Conflict(f"{customer.name} has orders")
    session.delete(customer)
    session.commit()
    return "", 204


@bp.get("/products")
def list_products():
    products = CatalogRepository(get_session()).products()
    return jsonify(products=[product.to_dict() for product in products])


@bp.get("/products/<sku>/price")
def product_price(sku):
    return jsonify(catalog_service().price(sku, request.args.get("currency", "EUR")))


@bp.get("/categories")
def category_tree():
    return jsonify(categories=catalog_service().tree())
