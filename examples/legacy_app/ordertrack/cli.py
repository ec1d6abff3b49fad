"""Commands: `flask --app ordertrack.wsgi init-db`, `seed`, `nightly`, `export-orders`."""

import click
from flask import Flask, current_app

from ordertrack.clients import get_carriers, get_pricing, get_summary
from ordertrack.database import get_database, get_session
from ordertrack.jobs.nightly import run_nightly
from ordertrack.ratelimit import RateLimiter
from ordertrack.repositories import CustomerRepository
from ordertrack.seed import seed_database
from ordertrack.services.reports import ReportService


def register_commands(app: Flask) -> None:
    @app.cli.command("init-db")
    @click.option("--drop", is_flag=True, help="Drop the tables first.")
    def init_db(drop):
        """Create the tables."""
        database = get_database()
        if drop:
            database.drop_all()
        database.create_all()
        click.echo("tables created")

    @app.cli.command("seed")
    def seed():
        """Fill the tables with sample data."""
        session = get_session()
        if CustomerRepository(session).all():
            click.echo("there is data already")
            return
        seed_database(session, current_app.config["PASSWORD_METHOD"])
        session.commit()
        click.echo("sample data written")

    @app.cli.command("nightly")
    def nightly():
        """Refresh tracking and summarise the customers."""
        limiter = RateLimiter(current_app.config["SUMMARY_PER_MINUTE"])
        data_dir = current_app.config["DATA_DIR"]
        result = run_nightly(get_session(), get_carriers(), get_summary(), limiter, data_dir)
        click.echo(f"{result['summarised']} of {result['customers']} customers summarised")

    @app.cli.command("export-orders")
    @click.argument("path", type=click.Path(dir_okay=False))
    def export_orders(path):
        """Write all orders to a CSV file."""
        reports = ReportService(get_session(), get_pricing())
        lines = 0
        with open(path, "w", encoding="utf-8", newline="") as file:
            for line in reports.export_csv():
                file.write(line)
                lines += 1
        click.echo(f"{lines - 1} orders written")
