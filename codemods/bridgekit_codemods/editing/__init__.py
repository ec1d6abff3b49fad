"""Edits addressed by source span, applied to one file at a time without touching anything else."""

from bridgekit_codemods.editing import nodes
from bridgekit_codemods.editing.edits import Edit, EditMissed, FileEdits
from bridgekit_codemods.editing.imports import ImportChange

__all__ = ["Edit", "EditMissed", "FileEdits", "ImportChange", "nodes"]
