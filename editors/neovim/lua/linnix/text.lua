-- Foreign text made harmless, and quantities put into words. Pure.
--
-- What a process is called is chosen by whoever wrote the program: it must neither break a line,
-- nor move the cursor of a terminal, nor turn the direction of writing.

local M = {}

-- As in linnix_ls/core/text.py: C0 and DEL, C1, zero width and direction marks, line and paragraph
-- separators, direction overrides and isolates, interlinear annotation, tags: as bytes of UTF-8.
local INVISIBLE = {
  '[%z\1-\31\127]',
  '\194[\128-\159]',
  '\226\128[\139-\143\168-\174]',
  '\226\129[\160-\175]',
  '\216\156',
  '\239\187\191',
  '\239\191[\185-\187]',
  '\243\160[\128\129][\128-\191]',
}

-- What JSON's null became: nil in some versions, vim.NIL in others.
function M.given(value)
  if value == vim.NIL then return nil end
  return value
end

-- One line of at most `limit` characters.
function M.plain(value, limit)
  local text = tostring(M.given(value) or '')
  for _, pattern in ipairs(INVISIBLE) do
    text = text:gsub(pattern, '?')
  end
  limit = limit or 200
  if vim.fn.strchars(text) > limit then
    text = vim.fn.strcharpart(text, 0, limit - 1) .. '…'
  end
  return text
end

function M.duration(seconds)
  seconds = math.max(0, math.floor(seconds))
  if seconds < 60 then return seconds .. ' s' end
  if seconds < 3600 then return ('%d min %02d s'):format(seconds / 60, seconds % 60) end
  return ('%d h %02d min'):format(seconds / 3600, seconds % 3600 / 60)
end

-- Seconds since 1970 of a time as the server writes it ("2026-01-31T12:00:01.200Z"), or nil.
function M.epoch(time)
  local year, month, day, hour, minute, second =
    tostring(M.given(time)):match('^(%d+)-(%d+)-(%d+)T(%d+):(%d+):([%d.]+)Z$')
  if not year then return nil end
  year, month = tonumber(year), tonumber(month)
  -- Days from civil, with the year beginning in March: os.time would take it for local time.
  if month <= 2 then
    year, month = year - 1, month + 12
  end
  local days = 365 * year + math.floor(year / 4) - math.floor(year / 100)
    + math.floor(year / 400) + math.floor((153 * (month - 3) + 2) / 5) + tonumber(day) - 719469
  return ((days * 24 + tonumber(hour)) * 60 + tonumber(minute)) * 60 + tonumber(second)
end

function M.now()
  local seconds, microseconds = vim.loop.gettimeofday()
  return seconds + microseconds / 1e6
end

return M
