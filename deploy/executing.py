"""`executor` where `up` may run it: see `deploy.nearby`. A machine for an executor alone has nothing of the archive."""

from deploy.nearby import grouped, terminals_at_hand
from executor.cli import cli

executor = grouped("executor", cli, terminals_at_hand)
