"""Threads, time, queues and log lines: what every other part stands on."""
