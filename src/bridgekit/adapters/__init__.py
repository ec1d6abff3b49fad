"""What users import: the two directions of a bridge, portals, and contexts."""
