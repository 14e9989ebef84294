"""What this service says of itself, and the few attributes of people that it keeps.

Whatever else a directory sends (phone numbers, titles, photographs) is dropped unread: only what
an order needs is stored.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final

from pydantic import Field
from scim2_models import (
    URN,
    Address,
    AuthenticationScheme,
    Bulk,
    ChangePassword,
    ComplexAttribute,
    Email,
    ETag,
    Extension,
    Filter,
    GroupMembership,
    Mutability,
    Name,
    Pagination,
    Patch,
    Reference,
    Required,
    Resource,
    ResourceType,
    ScimPolicy,
    ScimProvider,
    ServiceProviderConfig,
    Sort,
    Uniqueness,
)

MOST_RESULTS: Final = 200


class WorkAddress(ComplexAttribute):
    """Where somebody works; of it only the country is kept."""

    country: str | None = None
    type: Address.Type | None = None
    primary: bool | None = None


class User(Resource[Any]):
    """One member of staff."""

    __schema__ = URN("urn:ietf:params:scim:schemas:core:2.0:User")

    user_name: Annotated[str | None, Uniqueness.server, Required.true] = None
    name: Name | None = None
    display_name: str | None = None
    preferred_language: str | None = None
    locale: str | None = None
    timezone: str | None = None
    active: bool | None = None
    emails: list[Email] | None = None
    addresses: list[WorkAddress] | None = None
    groups: Annotated[list[GroupMembership] | None, Mutability.read_only] = None


class Manager(ComplexAttribute):
    """Whom somebody reports to, by the key that they have here."""

    value: str | None = None
    ref: Annotated[Reference[User] | None, Mutability.read_only] = Field(
        None, serialization_alias="$ref", validation_alias="$ref"
    )


class EnterpriseUser(Extension):
    """The unit and the manager."""

    __schema__ = URN("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User")

    employee_number: str | None = None
    department: str | None = None
    manager: Manager | None = None


class Delegate(ComplexAttribute):
    """Somebody who reads another's mail as well, by the key that they have here."""

    value: str | None = None
    ref: Annotated[Reference[User] | None, Mutability.read_only] = Field(
        None, serialization_alias="$ref", validation_alias="$ref"
    )


class StaffUser(Extension):
    """Until when somebody is away, and who reads their mail as well: no standard has it.

    Where it is sent it tells both; where it is not, what is known of both stays.
    """

    __schema__ = URN("urn:ietf:params:scim:schemas:extension:countermand:2.0:User")

    absent_until: datetime | None = None
    delegates: list[Delegate] | None = None


class Member(ComplexAttribute):
    """One member of a group; how they are called is asked of the person."""

    value: Annotated[str | None, Mutability.immutable] = None
    ref: Annotated[Reference[User] | None, Mutability.immutable] = Field(
        None, serialization_alias="$ref", validation_alias="$ref"
    )


class Group(Resource[Any]):
    """One group of people."""

    __schema__ = URN("urn:ietf:params:scim:schemas:core:2.0:Group")

    display_name: Annotated[str | None, Required.true, Uniqueness.server] = None
    members: list[Member] | None = None


PERSON: Final = User[EnterpriseUser | StaffUser]  # type: ignore[misc]  # the library's generic
CONFIG: Final = ServiceProviderConfig(
    patch=Patch(supported=True),
    bulk=Bulk(supported=False, max_operations=0, max_payload_size=0),
    filter=Filter(supported=True, max_results=MOST_RESULTS),
    change_password=ChangePassword(supported=False),
    sort=Sort(supported=False),
    etag=ETag(supported=False),
    pagination=Pagination(cursor=False, index=True),
    authentication_schemes=[
        AuthenticationScheme(
            type=AuthenticationScheme.Type("oauthbearertoken"),
            name="Bearer token",
            description="A token made with countermand staff directory-token.",
            primary=True,
        )
    ],
)
# As Entra and Okta speak it: attributes that we do not know, removals that carry a value, and a
# path that means an entry which is not there yet.
POLICY: Final = ScimPolicy(
    unknown=ScimPolicy.Unknown.ignore,
    remove_value_as_filter=ScimPolicy.RemoveValue.apply,
    unmatched_path_filter=ScimPolicy.UnmatchedPathFilter.create,
)
PROVIDER: Final = ScimProvider(
    models=[User, EnterpriseUser, StaffUser, Group],
    resource_types=[ResourceType.from_resource(PERSON), ResourceType.from_resource(Group)],
    config=CONFIG,
    policy=POLICY,
)
