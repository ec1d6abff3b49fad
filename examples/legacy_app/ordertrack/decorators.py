"""Decorators of our own: timing and retrying."""

import functools
import logging
import time

log = logging.getLogger("ordertrack.timing")


def timed(label):
    """Log how long each call took."""

    def decorate(func):
        @functools.wraps(func)
        def wrapper(*args, **kwargs):
            started = time.perf_counter()
            try:
                return func(*args, **kwargs)
            finally:
                log.info("%s took %.3f s", label, time.perf_counter() - started)

        return wrapper

    return decorate


def retry(on, times=3, delay=0.0):
    """Call again, up to `times` calls in all, when `on` was raised; back off in between."""

    def decorate(func):
        @functools.wraps(func)
        def wrapper(*args, **kwargs):
            for attempt in range(1, times + 1):
                try:
                    return func(*args, **kwargs)
                except on:
                    if attempt == times:
                        raise
                    time.sleep(delay * 2 ** (attempt - 1))

        return wrapper

    return decorate
