"""The log from which the whole story replays."""
