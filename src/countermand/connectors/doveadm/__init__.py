"""Dovecot's administration over HTTP: ends sessions that were open when a door shut."""
