"""What may be done with an order: every verb that an edge calls, each one transaction.

They stand in rooms of their own by what they are about: `drafting` up to the approval, `running`
from the release on, `stops` for what a stop owes the database, `answers` for what people say.
"""

from countermand.orders.answers import Answered, record_answer
from countermand.orders.drafting import abandon, approve, opened, plan, send_back, submit
from countermand.orders.running import (
    Released,
    Surroundings,
    close,
    confirm_undone,
    go,
    release,
    resume,
)

__all__ = [
    "Answered",
    "Released",
    "Surroundings",
    "abandon",
    "approve",
    "close",
    "confirm_undone",
    "go",
    "opened",
    "plan",
    "record_answer",
    "release",
    "resume",
    "send_back",
    "submit",
]
