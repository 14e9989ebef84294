-- One password per person and device: the password that fits says which device it is.
--
-- The list has a line per device: login name, device, password hash (doveadm pw), with tabs
-- between. Where it lies is said below (2.3 hands no arguments on to a script).
--
--   passdb {
--     driver = lua
--     args = file=/etc/dovecot/device-passwords.lua blocking=yes
--   }
--   passdb {
--     # The main password: from the webmail's own machine only, never straight from a phone.
--     driver = passwd-file
--     args = username_format=%u /etc/dovecot/users
--     override_fields = allow_nets=127.0.0.1/32 user_device=webmail userdb_user_device=webmail nodelay=y
--   }
--
-- nodelay: somebody who is refused by the gate has typed the right password. Without it, the
-- refusals of one phone would slow down everybody who comes from the same address.

local list = "/etc/dovecot/device-passwords.tsv"

function auth_password_verify(request, password)
  local known = false
  for line in io.lines(list) do
    local login, device, hash = line:match("^([^\t]+)\t([^\t]+)\t([^\t]+)$")
    if login == request.user then
      known = true
      if request:password_verify(hash, password) > 0 then
        return dovecot.auth.PASSDB_RESULT_OK,
          { user_device = device, userdb_user_device = device, nodelay = "y" }
      end
    end
  end
  if known then
    return dovecot.auth.PASSDB_RESULT_PASSWORD_MISMATCH, ""
  end
  return dovecot.auth.PASSDB_RESULT_USER_UNKNOWN, ""
end

function auth_passdb_lookup(request)
  return dovecot.auth.PASSDB_RESULT_USER_UNKNOWN, ""
end
