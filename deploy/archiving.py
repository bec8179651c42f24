"""`archiver` where `up` may run it: see `deploy.nearby`."""

from archiver.cli import cli
from deploy.nearby import at_hand, grouped

archiver = grouped("archiver", cli, at_hand)
