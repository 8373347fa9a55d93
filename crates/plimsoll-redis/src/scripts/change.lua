-- KEYS: one per quota. ARGV: tokens to grant, or -1 for a reset, then kind, unit, size and phase of
-- each quota. Answers whether any key existed.
local now, n, found = clock(), tonumber(ARGV[1]), 0
for i in ipairs(KEYS) do
  local q = quota(i, 4 * i - 2, now)
  if q.found then
    found = 1
    kinds[q.kind].grant(q, now, n < 0 and math.huge or n)
    save(q, now)
  end
end
return found
