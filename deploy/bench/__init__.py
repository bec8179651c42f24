"""Benchmarks that anyone can run: `tradecopier bench NAME`.

Each one compares the real thing, with every process and every guarantee that a user has, with a bare baseline on the
same servers, in alternating paired runs of one invocation. What is reported is the median of the pairs' ratios with its
interval: whatever else the machine does falls on both halves of a pair, so that ratios tell where milliseconds do not.
"""
