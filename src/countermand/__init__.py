"""Countermand: the control plane for orders that can be taken back."""
