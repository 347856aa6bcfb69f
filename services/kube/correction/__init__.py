"""Putting things back, and saying how: apply, patch, ownership, recreation."""
