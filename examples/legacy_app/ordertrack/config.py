"""Settings, read from the environment with defaults that suit a developer's machine."""

import os


def load_config() -> dict:
    """The settings of the running process."""
    data_dir = os.environ.get("DATA_DIR", os.path.join(os.getcwd(), "instance"))
    return {
        "SECRET_KEY": os.environ.get("SECRET_KEY", "dev-only"),
        "DATABASE_URL": os.environ.get("DATABASE_URL", f"sqlite:///{data_dir}/ordertrack.db"),
        "DB_POOL_SIZE": int(os.environ.get("DB_POOL_SIZE", "10")),
        "DATA_DIR": data_dir,
        "PRICING_URL": os.environ.get("PRICING_URL", "http://127.0.0.1:8900/pricing"),
        "CARRIERS_URL": os.environ.get("CARRIERS_URL", "http://127.0.0.1:8900/carriers"),
        "CARRIERS_TOKEN": os.environ.get("CARRIERS_TOKEN", "carrier-secret"),
        "SUMMARY_URL": os.environ.get("SUMMARY_URL", "http://127.0.0.1:8900/summary"),
        "SUMMARY_API_KEY": os.environ.get("SUMMARY_API_KEY", "summary-key"),
        "SUMMARY_PER_MINUTE": int(os.environ.get("SUMMARY_PER_MINUTE", "30")),
        "HTTP_TIMEOUT": float(os.environ.get("HTTP_TIMEOUT", "10")),
        "HTTP_RETRIES": int(os.environ.get("HTTP_RETRIES", "2")),
        "HTTP_POOL_SIZE": int(os.environ.get("HTTP_POOL_SIZE", "50")),
        "PASSWORD_METHOD": os.environ.get("PASSWORD_METHOD", "scrypt"),
        "MAX_CONTENT_LENGTH": 8 * 1024 * 1024,
    }
