-- Virtual text at the line while a process runs away; gone when it is over.
--
-- The marks move with edits by themselves. What is measured now is asked for once a second, only
-- while there is something to show it at.

local client = require('linnix.client')
local text = require('linnix.text')

local M = {}

local INTERVAL_MS = 1000
local MEASURES = { 'starts_per_s', 'on_cpu_cores', 'rss_growth', 'rss', 'outlived_run_s' }
local namespace = vim.api.nvim_create_namespace('linnix')
local marks = {} -- by finding id: { buffer, id }
local cores = {} -- of processes, as they are now: by "pid start_ticks"
local timer
local is_asking = false

local function key(process) return ('%d %d'):format(process.pid, process.start_ticks) end

local function measured(finding)
  local by_name = {}
  for _, evidence in ipairs(text.given(finding.evidence) or {}) do
    by_name[evidence.name] = evidence
  end
  for _, name in ipairs(MEASURES) do
    local evidence = by_name[name]
    local value = evidence and evidence.value
    if name == 'on_cpu_cores' then value = cores[key(finding.process)] or value end
    if evidence and type(value) == 'number' then
      return ('%.3g %s, '):format(value, text.plain(evidence.unit, 20))
    end
  end
  return ''
end

function M.words(finding)
  local since = text.epoch(finding.onset_at)
  local age = since and (', for ' .. text.duration(text.now() - since)) or ''
  return ('● %s: %s%s, pid %d%s'):format(
    text.plain(finding.kind, 40), measured(finding), text.plain(finding.process.comm, 40),
    finding.process.pid, age)
end

local function remove(id)
  local mark = marks[id]
  marks[id] = nil
  if mark and vim.api.nvim_buf_is_valid(mark.buffer) then
    vim.api.nvim_buf_del_extmark(mark.buffer, namespace, mark.id)
  end
end

local function put(finding)
  local buffer = client.buffer_of(finding)
  local mark = marks[finding.id]
  if mark and mark.buffer ~= buffer then
    remove(finding.id)
    mark = nil
  end
  if not buffer then return end
  local line
  if mark then line = vim.api.nvim_buf_get_extmark_by_id(buffer, namespace, mark.id, {})[1] end
  line = math.min(line or client.line_of(finding, buffer), vim.api.nvim_buf_line_count(buffer) - 1)
  local id = vim.api.nvim_buf_set_extmark(buffer, namespace, math.max(0, line), 0, {
    id = mark and mark.id,
    virt_text = { { ' ' .. M.words(finding), 'LinnixRunning' } },
    hl_mode = 'combine',
  })
  marks[finding.id] = { buffer = buffer, id = id }
end

local function stop_timer()
  if timer then
    timer:stop()
    timer:close()
    timer = nil
  end
end

local function measure()
  if is_asking then return end
  is_asking = true
  client.request('linnix/processTree', nil, function(tree)
    is_asking = false
    cores = {}
    for _, process in ipairs(tree and tree.processes or {}) do
      if not process.has_ended then cores[key(process)] = process.on_cpu_cores end
    end
  end)
end

-- Show what is true now.
function M.draw()
  local running = client.running()
  local shown = {}
  for _, finding in ipairs(running) do
    shown[finding.id] = true
    put(finding)
  end
  for id in pairs(marks) do
    if not shown[id] then remove(id) end
  end
  if next(marks) == nil then
    stop_timer()
  elseif not timer then
    timer = vim.loop.new_timer()
    timer:start(INTERVAL_MS, INTERVAL_MS, vim.schedule_wrap(function()
      if timer then
        measure()
        M.draw()
      end
    end))
  end
end

local is_listening = false

function M.setup()
  vim.cmd('highlight default link LinnixRunning DiagnosticVirtualTextWarn')
  if is_listening then return end
  is_listening = true
  client.listen({ changed = M.draw, lost = function() is_asking = false end })
end

return M
