"""What runs now, as manifests that a person would have written."""
