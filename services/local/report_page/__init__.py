"""The dashboards without Grafana: one page in one file, live on loopback or saved, from the same panels and SQL."""
