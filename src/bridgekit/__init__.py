"""Sync/async bridges for a code base that moves from one to the other."""
