-- One password per person and device: the password that fits says which device it is.
--
-- Countermand writes the passwords into many small files (COUNTERMAND_DEVICE_PASSWORDS names the
-- folder); one login opens one of them, however many people there are. Where nobody has such a
-- folder, one file by hand does for a few people: login name, device, hash, with tabs between.
-- Where they lie is said below (2.3 hands no arguments on to a script).
--
-- Dovecot loads a module for Lua; in Debian it is a package of its own: apt install dovecot-auth-lua
-- first. Without it nobody can log in once Dovecot is started anew ("Support not compiled in for
-- passdb driver 'lua'").
--
--   passdb {
--     driver = lua
--     args = file=/etc/dovecot/device-passwords.lua blocking=yes
--   }
--   passdb {
--     # The main password: from the webmail's own machine only, never straight from a phone.
--     driver = passwd-file
--     args = username_format=%u /etc/dovecot/users
--     override_fields = allow_nets=127.0.0.1/32,::1/128 user_device=webmail userdb_user_device=webmail nodelay=y
--   }
--
-- Until everybody has device passwords, one passdb more takes the main password straight from a
-- phone. Whoever stands in `limited` is kept from it by this script, group by group (countermand
-- device stage). It must not say `webmail`, or such logins are counted as the webmail's own:
--
--   passdb {
--     driver = passwd-file
--     args = username_format=%u /etc/dovecot/users
--     override_fields = nodelay=y
--   }
--
-- nodelay: somebody who is refused by the gate has typed the right password. Without it, the
-- refusals of one phone would slow down everybody who comes from the same address.
--
-- Never a table of everybody in here: with a million people that is 24 logins a second.

local folder = "/etc/dovecot/device-passwords"
local list = "/etc/dovecot/device-passwords.tsv"
-- From these machines the main password is good for everybody: the webmail, the ActiveSync server.
local webmail = { ["127.0.0.1"] = true, ["::1"] = true }

-- The same sum as countermand/domain/device_password.py, so that both look into the same file.
local function shard_of(login)
  local sum = 0
  for i = 1, #login do
    sum = (sum * 31 + login:byte(i)) % 1000003
  end
  return string.format("%03x", sum % 4096)
end

-- Opens a file, nil if there is none. One that is there and cannot be read is a fault of ours:
-- nobody's password is wrong for it.
local no_such_file = 2
local function opened(path)
  local file, why, number = io.open(path, "r")
  if not file and number ~= no_such_file then
    error(why)
  end
  return file
end

-- Returns the device whose password fits, or nil; the tag spares all hashes but one.
local function device_of(path, request, user, password)
  local file = opened(path)
  if not file then
    return nil, false
  end
  local fits, known = nil, false
  for line in file:lines() do
    local login, device, rest = line:match("^([^\t]+)\t([^\t]+)\t(.+)$")
    if login and login:lower() == user then
      known = true
      local hash, tag = rest:match("^([^\t]+)\t([^\t]+)$")
      if not tag or password:sub(1, #tag) == tag then
        if request:password_verify(hash or rest, password) > 0 then
          fits = device
          break
        end
      end
    end
  end
  file:close()
  return fits, known
end

local function is_limited(shard, login)
  local file = opened(folder .. "/limited/" .. shard)
  if not file then
    return false
  end
  local found = false
  for line in file:lines() do
    found = found or line == login
  end
  file:close()
  return found
end

local function verified(request, password)
  -- Logins lie in the files in small letters, whatever `auth_username_format` makes of them.
  local user = request.user:lower()
  local keyed = opened(folder .. "/form")
  local by_hand = not keyed and opened(list)
  if not keyed and not by_hand then
    error("there are no device passwords")
  end
  (keyed or by_hand):close()
  local shard = shard_of(user)
  local path = keyed and (folder .. "/devices/" .. shard) or list
  local device, known = device_of(path, request, user, password)
  if device then
    -- forward_user_device: where this is an IMAP proxy, the back end hears it, too.
    return dovecot.auth.PASSDB_RESULT_OK, {
      user_device = device, userdb_user_device = device,
      forward_user_device = device, nodelay = "y" }
  end
  local from = request.rip or request.remote_ip or ""
  if keyed and not webmail[from] and is_limited(shard, user) then
    -- No other passdb is asked: the main password is good at the webmail alone.
    return dovecot.auth.PASSDB_RESULT_USER_DISABLED, "main password is limited"
  end
  if known then
    return dovecot.auth.PASSDB_RESULT_PASSWORD_MISMATCH, ""
  end
  return dovecot.auth.PASSDB_RESULT_USER_UNKNOWN, ""
end

function auth_password_verify(request, password)
  local fine, result, said = pcall(verified, request, password)
  if fine then
    return result, said
  end
  -- "Temporary", so that no phone asks for a new password.
  return dovecot.auth.PASSDB_RESULT_INTERNAL_FAILURE, "no device passwords can be read"
end

function auth_passdb_lookup(request)
  return dovecot.auth.PASSDB_RESULT_USER_UNKNOWN, ""
end
