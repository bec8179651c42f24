"""`python -m deploy` is `tradecopier`."""

import sys

if __name__ == "__main__":
    try:
        from deploy.cli import main

        main()
    except KeyboardInterrupt:
        sys.exit(130)  # Ctrl-C before the command began
