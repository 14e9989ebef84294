"""Inventories as Microsoft Intune exports them: the zip of AppInvRawData, and Devices.csv."""
