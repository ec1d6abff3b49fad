"""Stub of the three upstream services (pricing, carriers, summary) for tests and demos."""
