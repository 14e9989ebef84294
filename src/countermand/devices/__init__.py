"""Devices that read mail, and what is known about the ordered apps on them."""
