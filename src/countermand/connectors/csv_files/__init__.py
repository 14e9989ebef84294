"""Inventories as two plain files: devices.csv, and apps.csv for what is on them."""
