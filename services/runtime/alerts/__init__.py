"""How anybody makes an alert: the gateway from what is sent, the watcher from what it follows. Pure functions."""
