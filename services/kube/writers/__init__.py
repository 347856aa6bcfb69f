"""Who wrote what, by managedFields, and whose writes are trusted or are theirs to make."""
