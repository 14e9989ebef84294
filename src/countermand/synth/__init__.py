"""Invents an organisation: people in many scripts, their devices, and what is on them."""
