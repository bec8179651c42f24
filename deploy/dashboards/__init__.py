"""Grafana's dashboards, built from code: `python -m deploy.dashboards` writes them into `grafana/dashboards`."""
