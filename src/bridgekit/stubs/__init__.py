"""Writes ``.pyi`` files for modules that define proxies and bridged functions.

Part of the tool, not of the runtime: nothing else imports it.
"""
