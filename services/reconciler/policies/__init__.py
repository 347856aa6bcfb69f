"""What people lay down, from their documents to decisions: read, checked, chosen from, explained and tried out."""
