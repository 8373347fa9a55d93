-- KEYS: one per quota. ARGV: least, most, not_after, then kind, unit, size and phase of each quota.
-- Grants as much of `most` as all quotas have, but nothing below `least`. A rejection writes
-- nothing, except for the first read after a quota was changed. Answers {granted, now, wait,
-- tightest, left, reset, left, reset, ...}, or {-1, now} to a question that has expired.
local least, most, not_after = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local now = clock()
if not_after > 0 and now > not_after then
  return { -1, now }
end

local quotas, wait, tightest = {}, 0, 0
for i in ipairs(KEYS) do
  local q = quota(i, 4 * i, now)
  quotas[i] = q
  if q.left < least then
    local until_then = kinds[q.kind].wait(q, now, least)
    if until_then > wait or tightest == 0 then
      wait, tightest = max(1, until_then), i
    end
  elseif q.left < most then
    most = q.left
  end
end

local granted = tightest == 0 and most or 0
local answer = { granted, now, wait, tightest }
for i, q in ipairs(quotas) do
  local kind = kinds[q.kind]
  if granted > 0 then
    q.left = q.left - granted
    kind.take(q, now, granted)
  end
  if granted > 0 or q.changed then
    save(q, now)
  end
  answer[2 * i + 3] = q.left
  -- With nothing left, the time until the next request counts.
  answer[2 * i + 4] = q.left > 0 and kind.full(q, now) or kind.wait(q, now, 1)
end
return answer
