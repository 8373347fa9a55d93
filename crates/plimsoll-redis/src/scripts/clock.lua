-- Microseconds since 1970 by the clock of Redis: one clock for all replicas. Below 2^53, so exact.
local function clock()
  local time = redis.call('TIME')
  return time[1] * 1000000 + time[2]
end
