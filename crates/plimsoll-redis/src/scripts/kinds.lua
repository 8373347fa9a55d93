-- One entry per algorithm. `unit` and `size` are a quota's two numbers: increment and burst, or period and count.
--   look(key, now, unit, size)      requests that conform now, and the state (a, b)
--   wait(now, unit, size, n, a, b)  microseconds until n would conform
--   full(now, unit, size, a, b)     microseconds until the quota is whole
--   take(key, now, unit, n, a, b)   spends n; the new state
--   give(key, now, unit, n, at)     gives back n that were taken at `at`
local kinds = {}
local floor, max = math.floor, math.max

-- Keys nobody asks for vanish by themselves, a millisecond after they stop to matter.
local function keep(key, value, micros)
  redis.call('SET', key, value, 'PX', string.format('%.0f', floor(micros / 1000) + 2))
end
