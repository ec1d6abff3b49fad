"""What only administrators may do."""

from flask import (
    Blueprint,
    current_app,
    flash,
    jsonify,
    redirect,
    render_template,
    request,
    url_for,
)

from ordertrack.clients import get_carriers, get_pricing, get_summary
from ordertrack.database import get_session
from ordertrack.errors import NotFound, OrderTrackError
from ordertrack.jobs.nightly import refresh_tracking, summarise_customer
from ordertrack.ratelimit import RateLimiter
from ordertrack.repositories import CustomerRepository, UserRepository
from ordertrack.security import role_required
from ordertrack.services.accounts import AccountService
from ordertrack.services.catalog import CatalogService

bp = Blueprint("admin", __name__)


@bp.get("/")
@role_required("admin")
def index():
    outbox = current_app.extensions["notifier"].sent()
    users = UserRepository(get_session()).all()
    return render_template("admin.html", users=users, outbox=outbox)


@bp.route("/users/new", methods=["GET", "POST"])
@role_required("admin")
def new_user():
    if request.method == "GET":
        return render_template("user_form.html")
    form = request.form
    accounts = AccountService(get_session(), current_app.config["PASSWORD_METHOD"])
    try:
        user = accounts.create(
            form.get("email", ""),
            form.get("name", ""),
            form.get("password", ""),
            form.get("role", "staff"),
        )
    except OrderTrackError as error:
        flash(error.message, "error")
        return render_template("user_form.html"), error.status
    flash(f"{user.name} may log in now.", "info")
    return redirect(url_for("admin.index"))


@bp.post("/tracking/refresh")
@role_required("admin")
def tracking():
    result = refresh_tracking(get_session(), get_carriers(), current_app.config["DATA_DIR"])
    return jsonify(result)


@bp.post("/prices/refresh")
@role_required("admin")
def prices():
    changed = CatalogService(get_session(), get_pricing()).refresh_prices()
    return jsonify(changed=changed)


@bp.post("/customers/<int:customer_id>/summary")
@role_required("admin")
def summary(customer_id):
    """Summarise one customer now; one call does not need the limit."""
    session = get_session()
    customer = CustomerRepository(session).get(customer_id)
    if customer is None:
        raise NotFound(f"no customer {customer_id}")
    done = summarise_customer(customer, get_summary(), RateLimiter(0), attempts=1)
    session.commit()
    return jsonify(done=done, summary=customer.summary)
