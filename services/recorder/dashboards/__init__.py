"""What Setpoint shows of its record: dashboards as data, each with its SQL, rendered for Grafana and for reports."""
