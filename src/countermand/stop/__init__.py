"""The stop path: makes a stop durable and proves it, with the standard library alone."""
