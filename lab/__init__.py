"""Real mail servers on this machine, each in a folder and on ports of its own, ended afterwards.

`make test GROUP=servers` and `make lab` run what deploy/ ships under them.
"""
