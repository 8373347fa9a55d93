-- KEYS: one per quota. ARGV: how many, when they were taken, then kind, unit and size of each quota.
local now = clock()
for i, key in ipairs(KEYS) do
  local at = 3 * i
  kinds[ARGV[at]].give(key, now, tonumber(ARGV[at + 1]), tonumber(ARGV[1]), tonumber(ARGV[2]))
end
return 1
