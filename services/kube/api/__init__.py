"""Speaking with one API server: connections, discovery, lists and watches, reads and writes, its errors."""
