-- KEYS: one per quota. ARGV: least, most, not_after, then kind, unit and size of each quota.
-- Grants as much of `most` as all quotas have, but nothing below `least`: then nothing is written.
-- Answers {granted, now, wait, tightest, left, reset, left, reset, ...}, or {-1, now} to a question that lay around
-- until nobody waited for its answer.
local least, most, not_after = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local now = clock()
if not_after > 0 and now > not_after then
  return { -1, now }
end

local quotas, wait, tightest = {}, 0, 0
for i, key in ipairs(KEYS) do
  local at = 3 * i + 1
  local quota = { kinds[ARGV[at]], tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]) }
  quota[4], quota[5], quota[6] = quota[1].look(key, now, quota[2], quota[3])
  quotas[i] = quota
  if quota[4] < least then
    local until_then = quota[1].wait(now, quota[2], quota[3], least, quota[5], quota[6])
    if until_then > wait or tightest == 0 then
      wait, tightest = max(1, until_then), i
    end
  elseif quota[4] < most then
    most = quota[4]
  end
end

local granted = tightest == 0 and most or 0
local answer = { granted, now, wait, tightest }
for i, quota in ipairs(quotas) do
  local kind, unit, size, left, a, b = quota[1], quota[2], quota[3], quota[4], quota[5], quota[6]
  if granted > 0 then
    left = left - granted
    a, b = kind.take(KEYS[i], now, unit, granted, a, b)
  end
  answer[2 * i + 3] = left
  -- With nothing left, what matters is when there will be something.
  answer[2 * i + 4] = left > 0 and kind.full(now, unit, size, a, b) or kind.wait(now, unit, size, 1, a, b)
end
return answer
