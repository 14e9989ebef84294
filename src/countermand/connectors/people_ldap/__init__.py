"""People as an LDAP directory knows them: OpenLDAP, Active Directory, FreeIPA."""
