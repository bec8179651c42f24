"""`python -m deploy` is `tradecopier`."""

from deploy.cli import main

if __name__ == "__main__":
    main()
