-- KEYS: one per quota. ARGV: how many, when they were admitted, then kind, unit, size and phase of
-- each quota.
local now = clock()
for i in ipairs(KEYS) do
  local q = quota(i, 4 * i - 1, now)
  kinds[q.kind].refund(q, now, tonumber(ARGV[1]), tonumber(ARGV[2]))
  save(q, now)
end
return 1
