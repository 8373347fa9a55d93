-- KEYS: one per quota. ARGV: how many requests are granted, or -1 for a reset, then kind, unit,
-- size and phase of each quota. Answers whether there was anything to change.
local now, n, found = clock(), tonumber(ARGV[1]), 0
for i in ipairs(KEYS) do
  local q = quota(i, 4 * i - 2, now)
  if q.found then
    found = 1
    kinds[q.kind].grant(q, now, n < 0 and math.huge or n)
    keep(q, now)
  end
end
return found
