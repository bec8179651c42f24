"""All dashboards."""

from deploy.dashboards import accounts, delivery, infrastructure, journal, latency, overview

BOARDS = (overview.BOARD, latency.BOARD, delivery.BOARD, accounts.BOARD, journal.BOARD, infrastructure.BOARD)
